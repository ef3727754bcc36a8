# SPDX-License-Identifier: Apache-2.0
"""Worker processes, forked or adopted."""

from __future__ import annotations

import os
import queue
import signal
import threading

import psutil
import pytest
from support.child_processes import child

from worker_pipeline.system.processes import Launcher, WorkerProcess, exit_reason
from worker_pipeline.testing import wait_for

pytestmark = pytest.mark.slow  # most of these start a fork server

# Starts a process that outlives it, like a manager's workers.
PARENT = """
import subprocess, sys
print(subprocess.Popen(['sleep', '1000'], stdout=subprocess.DEVNULL).pid, flush=True)
input()
"""
# Run in a worker.
SEND_MAIN = """
import sys
main = sys.modules['__main__']
sender.send([main.__spec__, getattr(main, '__file__', None)])
"""


@pytest.fixture
def exits():
    """Return the exits that the launcher reports."""
    return queue.SimpleQueue()


@pytest.fixture
def launcher(exits):
    found = Launcher('json', lambda pid, reason: exits.put((pid, reason)))
    found.open()
    yield found
    found.close()


@pytest.fixture
def orphan():
    """Yield a process that is not a child of this one."""
    with child(PARENT) as parent:
        pid = int(parent.line())
        started = psutil.Process(pid)
        parent.tell()
        assert parent.wait() == 0
    assert started.ppid() != os.getpid()
    yield started
    if is_alive(started):
        started.kill()
    wait_for(lambda: not is_alive(started), 'the end of the process')


def is_alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


@pytest.mark.parametrize(
    ('exit_code', 'reason'),
    [
        (0, 'exit code 0'),
        (3, 'exit code 3'),
        (255, 'exit code 255'),
        (-9, 'killed by SIGKILL'),
        (-11, 'killed by SIGSEGV'),
        (-250, 'killed by signal 250'),
        (None, 'ended, status unknown'),
    ],
)
def test_exit_reasons_are_described(exit_code: int | None, reason: str):
    """In words that users search for."""
    assert exit_reason(exit_code) == reason


def test_the_exit_of_a_worker_is_reported_once_with_its_reason(launcher, exits):
    """An exit code or a signal."""
    left = launcher.start(os._exit, (3,), 'left').pid
    assert exits.get(timeout=20) == (left, 'exit code 3')
    killed = launcher.start(signal.pause, (), 'killed').pid
    assert exits.empty()
    launcher.send_signal(killed, signal.SIGKILL)
    assert exits.get(timeout=20) == (killed, 'killed by SIGKILL')
    launcher.send_signal(killed, signal.SIGKILL)
    assert exits.empty()
    wait_for(lambda: not psutil.pid_exists(killed), 'that it is reaped')


def test_the_exit_of_an_adopted_process_is_reported_at_once(launcher, exits, orphan):
    """It is no child of this process, so the reason is known only until its parent reaps it."""
    worker = launcher.adopt(orphan.pid)
    assert worker.pid == orphan.pid
    assert exits.empty()
    orphan.kill()
    pid, reason = exits.get(timeout=20)
    assert pid == orphan.pid
    assert reason in ('ended, status unknown', 'killed by SIGKILL')
    assert exits.empty()


def test_signals_reach_an_adopted_process(launcher, exits, orphan):
    """And no other process."""
    launcher.adopt(orphan.pid)
    launcher.send_signal(orphan.pid + 1, signal.SIGKILL)
    launcher.send_signal(orphan.pid, signal.SIGSTOP)
    wait_for(lambda: orphan.status() == psutil.STATUS_STOPPED, 'the stop')
    launcher.send_signal(orphan.pid, signal.SIGCONT)
    launcher.send_signal(orphan.pid, signal.SIGTERM)
    assert exits.get(timeout=20)[0] == orphan.pid


def test_adopting_an_exited_process_reports_its_exit(launcher, exits):
    """As for any other process."""
    with child('') as gone:
        gone.wait()
    worker = launcher.adopt(gone.pid)
    assert exits.get(timeout=20) == (gone.pid, 'ended, status unknown')
    worker.send_signal(signal.SIGKILL)
    launcher.send_signal(gone.pid, signal.SIGKILL)
    assert exits.empty()


def test_a_closed_worker_holds_no_file_descriptor():
    """Signals to it are ignored."""
    with child('input()') as process:
        worker = WorkerProcess(process.pid)
        pidfd = worker.pidfd
        assert os.readlink(f'/proc/self/fd/{pidfd}') == 'anon_inode:[pidfd]'
        worker.close()
        worker.close()
        assert worker.pidfd is None
        worker.send_signal(signal.SIGKILL)
        process.tell()
        assert process.wait() == 0


def test_a_signal_to_an_exited_process_is_ignored():
    """The pidfd identifies the process, unlike its pid."""
    with child('') as process:
        worker = WorkerProcess(process.pid)
        process.wait()
        worker.send_signal(signal.SIGKILL)
        worker.close()


def test_the_fork_server_starts_the_workers(launcher):
    """It is alive while the launcher is open."""
    helpers = [psutil.Process(pid) for pid in launcher.helper_pids]
    assert len(helpers) == 1
    assert all(is_alive(helper) for helper in helpers)
    pid = launcher.start(signal.pause, (), 'worker').pid
    assert psutil.Process(pid).ppid() in launcher.helper_pids


def test_a_closed_launcher_leaves_nothing_behind(exits, orphan):
    """Neither helpers, nor workers forked or adopted, nor file descriptors."""
    launcher = Launcher('json', lambda pid, reason: exits.put((pid, reason)))
    descriptors = len(os.listdir('/proc/self/fd'))
    launcher.open()
    helpers = [psutil.Process(pid) for pid in launcher.helper_pids]
    worker = psutil.Process(launcher.start(signal.pause, (), 'worker').pid)
    launcher.adopt(orphan.pid)
    launcher.close()
    assert not any(helper.is_running() for helper in helpers)
    wait_for(lambda: not is_alive(worker) and not is_alive(orphan), 'their exits')
    assert launcher.helper_pids == []
    # Its own two are closed as well.
    assert len(os.listdir('/proc/self/fd')) <= descriptors - 2


def test_multiprocessing_does_not_wait_for_workers_at_exit(launcher):
    """Workers are left on purpose: the next manager adopts them."""
    import multiprocessing

    pid = launcher.start(signal.pause, (), 'worker').pid
    assert pid not in {each.pid for each in multiprocessing.active_children()}


def test_workers_do_not_import_the_main_module(launcher):
    """They have an empty one, so the processes that a stage spawns do not import it either."""
    receiver, sender = launcher.pipe()
    process = launcher.start_helper(exec, (SEND_MAIN, {'sender': sender}))
    assert receiver.poll(20.0)
    assert receiver.recv() == [None, None]
    assert process.join(20.0)
    for each in (receiver, sender):
        each.close()


def test_a_helper_process_sends_through_a_pipe(launcher):
    """As in the inspection of plugins."""
    receiver, sender = launcher.pipe()
    process = launcher.start_helper(sender.send, ('hello',))
    assert receiver.poll(20.0)
    assert receiver.recv() == 'hello'
    assert process.join(20.0)
    assert process.exit_code == 0
    for each in (receiver, sender):
        each.close()


def test_many_exits_at_once_are_all_reported(launcher, exits):
    """Each once, with its own reason."""
    codes = {launcher.start(os._exit, (code,), 'worker').pid: code for code in range(30)}
    reported = dict(exits.get(timeout=20) for _ in codes)
    assert reported == {pid: f'exit code {code}' for pid, code in codes.items()}
    assert exits.empty()


def test_a_process_is_not_forgotten_while_it_is_signalled(monkeypatch):
    """By then, its descriptor could stand for another file, or for another process."""
    with child('input()') as process:
        worker = WorkerProcess(process.pid)
        closing = threading.Thread(target=worker.close)
        is_open = []

        def send_slowly(pidfd: int, _number: int) -> None:
            closing.start()
            closing.join(0.05)  # it has to wait for us
            is_open.append(os.path.exists(f'/proc/self/fd/{pidfd}'))

        monkeypatch.setattr(signal, 'pidfd_send_signal', send_slowly)
        worker.send_signal(signal.SIGTERM)
        closing.join(10)
        assert is_open == [True]
        assert worker.pidfd is None
        worker.send_signal(signal.SIGTERM)  # and nothing is signalled any more
        assert is_open == [True]
        process.tell()
