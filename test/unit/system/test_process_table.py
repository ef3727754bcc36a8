# SPDX-License-Identifier: Apache-2.0
"""Facts about real processes and their families."""

from __future__ import annotations

import os
import signal

from support.child_processes import child, sleeper

from worker_pipeline.system.process_table import (
    families,
    is_marked,
    is_resource_tracker,
    read_process,
    read_processes,
    worker_mark,
)
from worker_pipeline.testing import wait_for

# Marks itself, then starts a program without an environment, and a fork in a session of its own.
MARKED = """
import os, subprocess, time
from worker_pipeline.system.process_table import mark_worker
kept = mark_worker(os.getpid(), 5)
clean = subprocess.Popen(['sleep', '1000'], env={})
program = subprocess.Popen(['sleep', '1000'])
fork = os.fork()
if not fork:
    os.setsid()
    time.sleep(1000)
    os._exit(0)
print(program.pid, fork, clean.pid, flush=True)
input()
for pid in (program.pid, fork, clean.pid):
    os.kill(pid, 9)
"""


def test_a_process_is_read_with_its_family():
    with sleeper() as process:
        found = read_process(process.pid)
        assert found is not None
        wait_for(lambda: read_process(process.pid)[4] == 'sleep', 'the program')
        assert (found.pid, found.parent) == (process.pid, os.getpid())
        assert found.session == os.getsid(0)
        assert process.pid in {
            each.pid for each in families(read_processes(), [os.getpid()])[os.getpid()]
        }


def test_processes_of_some_sessions_are_left_out():
    with sleeper() as process:
        left_out = {each.pid for each in read_processes({os.getsid(0)})}
        assert process.pid not in left_out
        assert process.pid in {each.pid for each in read_processes({-1}, set())}


def test_an_exited_process_is_not_read():
    """Not even while its parent has not reaped it."""
    with sleeper() as process:
        os.kill(process.pid, signal.SIGKILL)
        wait_for(lambda: read_process(process.pid) is None, 'its end')
    assert read_process(process.pid) is None


def test_what_a_worker_starts_has_its_mark():
    """Programs in their environment, forks in their memory."""
    with child(MARKED) as worker:
        program, fork, clean = (int(each) for each in worker.line().split())
        mark = worker_mark(worker.pid, 5)
        wait_for(lambda: is_marked(program, mark), 'the mark of the program')
        assert is_marked(fork, mark)
        assert not is_marked(fork, worker_mark(worker.pid, 55))
        wait_for(lambda: not is_marked(clean, mark), 'the program without an environment')
        assert not is_marked(os.getpid(), mark)
        worker.tell()
        assert worker.wait() == 0
        assert not is_marked(program, mark)


def test_a_resource_tracker_is_known_by_its_command():
    with child(
        'from multiprocessing import resource_tracker as tracker; tracker.ensure_running(); '
        'print(tracker._resource_tracker._pid, flush=True); input()'
    ) as process:
        pid = int(process.line())
        wait_for(lambda: is_resource_tracker(pid), 'the program')
        assert not is_resource_tracker(process.pid)
        process.tell()
        assert process.wait() == 0
    wait_for(lambda: not is_resource_tracker(pid), 'its end')
