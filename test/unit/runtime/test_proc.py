"""What the kernel tells of processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from support.children import child, sleeper

from worker_pipeline.runtime.proc import exit_code_of, is_stopped, resident_size, start_of
from worker_pipeline.testing import wait_for


def test_a_process_with_any_name_is_found():
    """Also one that would be taken for the fields that follow it."""
    with child(
        'open("/proc/self/comm", "w").write("a) Z 1 (2"); print(1, flush=True); input()'
    ) as it:
        assert it.line() == '1'
        expected = psutil.Process(it.pid).create_time() - psutil.boot_time()
        assert start_of(it.pid) / os.sysconf('SC_CLK_TCK') == pytest.approx(expected, abs=1.5)


def test_a_process_that_is_gone_has_neither_start_nor_size():
    """There is nothing to be read of it."""
    with sleeper() as process:
        pid = process.pid
    assert (start_of(pid), resident_size(pid)) == (None, 0)


def test_a_stopped_process_is_known_until_it_goes_on():
    """One that is gone is not stopped."""
    with sleeper() as process:
        assert not is_stopped(process.pid)
        process.send_signal(signal.SIGSTOP)
        wait_for(lambda: is_stopped(process.pid), 'it stopped')
        process.send_signal(signal.SIGCONT)
        wait_for(lambda: not is_stopped(process.pid), 'it going on')
        pid = process.pid
    assert not is_stopped(pid)


def test_the_resident_size_is_what_others_measure():
    """In bytes."""
    size = resident_size(os.getpid())
    assert size == pytest.approx(psutil.Process().memory_info().rss, rel=0.1)


@pytest.mark.parametrize('name', ['spare', 'echo/worker_0', 'a name that is too long for it'])
def test_a_process_is_shown_by_the_name_it_gives_itself(name):
    """As much of it as the kernel keeps."""
    code = f"""
from worker_pipeline.runtime.proc import call_this_process
call_this_process({name!r})
print(1, flush=True)
input()
"""
    with child(code) as it:
        assert it.line() == '1'
        assert Path(f'/proc/{it.pid}/comm').read_text().rstrip('\n') == name[:15]


SEGFAULT = """
import os, resource, signal
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
os.kill(os.getpid(), signal.SIGSEGV)
"""


@pytest.mark.parametrize(
    ('code', 'expected'),
    [
        ('import os; os._exit(0)', 0),
        ('import os; os._exit(3)', 3),
        ('import os; os._exit(255)', 255),
        ('import os; os.kill(os.getpid(), 9)', -9),
        (SEGFAULT, -11),
    ],
)
def test_how_a_process_has_ended_is_known_before_it_is_reaped(code, expected):
    """As its parent is told it, and not any more afterwards."""
    process = subprocess.Popen([sys.executable, '-c', code])
    wait_for(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE, 'its end')
    assert exit_code_of(process.pid) == expected == process.wait()
    assert exit_code_of(process.pid) is None


def test_a_process_that_lives_has_no_exit_code():
    """Not even a stopped one."""
    with sleeper() as process:
        assert exit_code_of(process.pid) is None
        process.send_signal(signal.SIGSTOP)
        wait_for(lambda: is_stopped(process.pid), 'the stop')
        assert exit_code_of(process.pid) is None
