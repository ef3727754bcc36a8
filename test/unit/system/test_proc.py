# SPDX-License-Identifier: Apache-2.0
"""Facts about processes from /proc."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from support.child_processes import child, sleeper

from worker_pipeline.system.proc import exit_code_of, is_stopped, resident_size, start_of
from worker_pipeline.testing import wait_for


def test_a_process_may_have_any_name():
    """Even one that looks like the fields that follow it."""
    with child(
        'open("/proc/self/comm", "w").write("a) Z 1 (2"); print(1, flush=True); input()'
    ) as it:
        assert it.line() == '1'
        expected = psutil.Process(it.pid).create_time() - psutil.boot_time()
        assert start_of(it.pid) / os.sysconf('SC_CLK_TCK') == pytest.approx(expected, abs=1.5)


def test_an_exited_process_has_neither_start_nor_size():
    """It is no longer in /proc."""
    with sleeper() as process:
        pid = process.pid
    assert (start_of(pid), resident_size(pid)) == (None, 0)


def test_a_process_is_stopped_until_it_is_continued():
    """One that has exited is not stopped."""
    with sleeper() as process:
        assert not is_stopped(process.pid)
        process.send_signal(signal.SIGSTOP)
        wait_for(lambda: is_stopped(process.pid), 'the stop')
        process.send_signal(signal.SIGCONT)
        wait_for(lambda: not is_stopped(process.pid), 'the continuation')
        pid = process.pid
    assert not is_stopped(pid)


def test_the_resident_size_equals_psutils():
    """In bytes."""
    size = resident_size(os.getpid())
    assert size == pytest.approx(psutil.Process().memory_info().rss, rel=0.1)


def test_reading_a_process_interns_nothing(monkeypatch):
    """A Path interns its parts, and a pid is a new one for each worker."""
    monkeypatch.setattr(Path, '__new__', lambda *_: pytest.fail('a Path was made'))
    assert resident_size(os.getpid())
    assert start_of(os.getpid())


@pytest.mark.slow
@pytest.mark.parametrize('name', ['spare', 'echo/worker_0', 'a name that is too long for it'])
def test_a_process_can_set_its_name(name):
    """Cut to the kernel's limit."""
    code = f"""
from worker_pipeline.system.proc import set_process_name
set_process_name({name!r})
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


@pytest.mark.slow
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
def test_the_exit_code_of_a_zombie_is_known(code, expected):
    """As its parent gets it; no longer after it is reaped."""
    process = subprocess.Popen([sys.executable, '-c', code])
    wait_for(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE, 'its end')
    assert exit_code_of(process.pid) == expected == process.wait()
    assert exit_code_of(process.pid) is None


def test_a_live_process_has_no_exit_code():
    """Not even a stopped one."""
    with sleeper() as process:
        assert exit_code_of(process.pid) is None
        process.send_signal(signal.SIGSTOP)
        wait_for(lambda: is_stopped(process.pid), 'the stop')
        assert exit_code_of(process.pid) is None
