"""Worker processes: those of one's own, and those of others."""

from __future__ import annotations

import os
import queue
import signal
import sys
import time

import psutil
import pytest
from support.children import child

from worker_pipeline.runtime.processes import Launcher, WorkerProcess, exit_reason
from worker_pipeline.testing import wait_for

# Starts a process that outlives it, as a manager's workers do.
PARENT = """
import subprocess, sys
print(subprocess.Popen(['sleep', '1000'], stdout=subprocess.DEVNULL).pid, flush=True)
input()
"""


@pytest.fixture
def ends():
    """What the launcher tells."""
    return queue.SimpleQueue()


@pytest.fixture
def launcher(ends):
    found = Launcher('json', lambda pid, reason: ends.put((pid, reason)))
    found.open()
    yield found
    found.close()


@pytest.fixture
def orphan():
    """A process that is nobody's child here."""
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
def test_why_a_process_ended_is_told_in_words(exit_code: int | None, reason: str):
    """Those that a user would look for."""
    assert exit_reason(exit_code) == reason


def test_the_end_of_a_worker_is_told_with_its_reason(launcher, ends):
    """Once each."""
    left = launcher.start(os._exit, (3,), 'left').pid
    assert ends.get(timeout=20) == (left, 'exit code 3')
    killed = launcher.start(signal.pause, (), 'killed').pid
    assert ends.empty()
    launcher.send_signal(killed, signal.SIGKILL)
    assert ends.get(timeout=20) == (killed, 'killed by SIGKILL')
    launcher.send_signal(killed, signal.SIGKILL)
    assert ends.empty()
    wait_for(lambda: not psutil.pid_exists(killed), 'that nothing is left of it')


def test_the_end_of_an_adopted_process_is_told_at_once(launcher, ends, orphan):
    """It is not our child, so that why is known only until its parent has reaped it."""
    worker = launcher.adopt(orphan.pid)
    assert worker.pid == orphan.pid
    assert ends.empty()
    orphan.kill()
    pid, reason = ends.get(timeout=20)
    assert pid == orphan.pid
    assert reason in ('ended, status unknown', 'killed by SIGKILL')
    assert ends.empty()


def test_signals_reach_an_adopted_process(launcher, ends, orphan):
    """And no other one."""
    launcher.adopt(orphan.pid)
    launcher.send_signal(orphan.pid + 1, signal.SIGKILL)
    launcher.send_signal(orphan.pid, signal.SIGSTOP)
    wait_for(lambda: orphan.status() == psutil.STATUS_STOPPED, 'the stop')
    launcher.send_signal(orphan.pid, signal.SIGCONT)
    launcher.send_signal(orphan.pid, signal.SIGTERM)
    assert ends.get(timeout=20)[0] == orphan.pid


def test_a_process_that_is_gone_when_it_is_adopted_has_ended(launcher, ends):
    """Which is told as for any other."""
    with child('') as gone:
        gone.wait()
    worker = launcher.adopt(gone.pid)
    assert ends.get(timeout=20) == (gone.pid, 'ended, status unknown')
    worker.send_signal(signal.SIGKILL)
    launcher.send_signal(gone.pid, signal.SIGKILL)
    assert ends.empty()


def test_a_worker_that_was_reaped_holds_no_descriptor():
    """And signals to it go nowhere."""
    with child('input()') as process:
        worker = WorkerProcess(process.pid)
        pidfd = worker.pidfd
        assert os.readlink(f'/proc/self/fd/{pidfd}') == 'anon_inode:[pidfd]'
        assert worker.reap() == worker.reap() == 'ended, status unknown'
        assert worker.pidfd is None
        worker.send_signal(signal.SIGKILL)
        process.tell()
        assert process.wait() == 0


def test_a_signal_to_what_has_just_ended_goes_nowhere():
    """The kernel knows it by its pidfd."""
    with child('') as process:
        worker = WorkerProcess(process.pid)
        process.wait()
        worker.send_signal(signal.SIGKILL)
        worker.reap()


def test_helpers_are_those_processes_that_are_needed_to_start_others(launcher):
    """They live while the launcher does."""
    helpers = [psutil.Process(pid) for pid in launcher.helpers]
    assert len(helpers) == 2
    assert all(is_alive(helper) for helper in helpers)
    pid = launcher.start(signal.pause, (), 'worker').pid
    assert psutil.Process(pid).ppid() in launcher.helpers


def test_nothing_is_left_of_a_launcher_that_was_closed(ends, orphan):
    """Neither helpers nor workers, one's own or adopted, nor descriptors."""
    launcher = Launcher('json', lambda pid, reason: ends.put((pid, reason)))
    descriptors = len(os.listdir('/proc/self/fd'))
    launcher.open()
    helpers = [psutil.Process(pid) for pid in launcher.helpers]
    worker = psutil.Process(launcher.start(signal.pause, (), 'worker').pid)
    launcher.adopt(orphan.pid)
    launcher.close()
    assert not any(helper.is_running() for helper in helpers)
    wait_for(lambda: not is_alive(worker) and not is_alive(orphan), 'their ends')
    assert launcher.helpers == []
    # Its own three are gone as well.
    assert len(os.listdir('/proc/self/fd')) <= descriptors - 3


def test_a_worker_is_not_waited_for_when_we_exit(launcher):
    """What is left is left on purpose: the next manager goes on with it."""
    import multiprocessing

    pid = launcher.start(signal.pause, (), 'worker').pid
    assert pid not in {each.pid for each in multiprocessing.active_children()}


def test_our_main_module_is_not_run_again_in_workers(launcher):
    """It is ours again when they are started."""
    main = sys.modules['__main__']
    before = main.__spec__, getattr(main, '__file__', None)
    launcher.start(os._exit, (0,), 'worker')
    launcher.start_helper(time.monotonic, ()).join()
    assert (main.__spec__, getattr(main, '__file__', None)) == before


def test_a_worker_tells_through_a_pipe(launcher):
    """As the inspection of plugins does."""
    receiver, sender = launcher.pipe()
    process = launcher.start_helper(sender.send, ('hello',))
    assert receiver.recv() == 'hello'
    process.join()
    for each in (receiver, sender):
        each.close()
    process.close()


def test_many_ends_at_once_are_all_told(launcher, ends):
    """Each once, and with its own reason."""
    codes = {launcher.start(os._exit, (code,), 'worker').pid: code for code in range(30)}
    told = dict(ends.get(timeout=20) for _ in codes)
    assert told == {pid: f'exit code {code}' for pid, code in codes.items()}
    assert ends.empty()
