# SPDX-License-Identifier: Apache-2.0
"""Whether a debugger or a frozen control group has taken a process off the processor."""

from __future__ import annotations

import ctypes
import os
import signal
from pathlib import Path

import pytest
from storm.freezer import Freezer
from support.child_processes import sleeper

from worker_pipeline.system import halts, mounts
from worker_pipeline.system.halts import is_frozen, is_held, is_traced
from worker_pipeline.system.proc import is_stopped
from worker_pipeline.testing import wait_for

PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17


def ptrace(request: int, pid: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    if libc.ptrace(request, pid, None, None) < 0:
        pytest.skip(f'ptrace is not allowed here: {os.strerror(ctypes.get_errno())}')


def test_a_process_that_sleeps_is_neither_held_nor_stopped():
    with sleeper() as process:
        assert not is_held(process.pid)
        assert not is_stopped(process.pid)


def test_a_process_that_is_stopped_by_a_signal_is_not_held():
    """It may have stopped itself."""
    with sleeper() as process:
        os.kill(process.pid, signal.SIGSTOP)
        wait_for(lambda: is_stopped(process.pid), 'a stopped process')
        assert not is_held(process.pid)
        os.kill(process.pid, signal.SIGCONT)


def test_a_process_in_a_debugger_is_held():
    with sleeper() as process:
        # A tracer is a thread: this one.
        ptrace(PTRACE_SEIZE, process.pid)
        ptrace(PTRACE_INTERRUPT, process.pid)
        wait_for(lambda: is_held(process.pid), 'a held process')
        assert not is_stopped(process.pid)
        ptrace(PTRACE_DETACH, process.pid)
        wait_for(lambda: not is_held(process.pid), 'a released process')


def test_a_process_in_a_frozen_control_group_is_held():
    freezer = Freezer.find()
    if freezer is None:
        pytest.skip('no control group can be made here')
    try:
        with sleeper() as process:
            with freezer.frozen([process.pid]):
                wait_for(lambda: is_frozen(process.pid), 'a frozen process')
                assert is_held(process.pid)
            wait_for(lambda: not is_frozen(process.pid), 'a thawed process')
    finally:
        freezer.close()


@pytest.mark.parametrize(
    ('kind', 'line', 'file', 'frozen', 'thawed'),
    [
        (
            'cgroup2',
            '0::/a/b',
            'cgroup.events',
            'populated 1\nfrozen 1\n',
            'populated 1\nfrozen 0\n',
        ),
        ('cgroup', '6:cpu,freezer:/a/b', 'freezer.state', 'FROZEN\n', 'THAWED\n'),
    ],
)
def test_both_versions_of_control_groups_are_read(
    tmp_path, monkeypatch, kind, line, file, frozen, thawed
):
    monkeypatch.setattr(halts, '_mount_of', lambda found: tmp_path if found == kind else None)
    monkeypatch.setattr(halts, 'Path', lambda path: tmp_path / Path(path).name)
    (tmp_path / 'cgroup').write_text(f'9:memory:/x\n{line}\n')
    (tmp_path / 'a' / 'b').mkdir(parents=True)
    (tmp_path / 'a' / 'b' / file).write_text(frozen)
    assert is_frozen(1)
    (tmp_path / 'a' / 'b' / file).write_text(thawed)
    assert not is_frozen(1)
    (tmp_path / 'a' / 'b' / file).unlink()
    assert not is_frozen(1), 'the group is gone'


@pytest.mark.parametrize(
    ('kind', 'mount'), [('cgroup2', '/sys/fs/cgroup/unified'), ('cgroup', '/sys/fs/cgroup/freezer')]
)
def test_mounts_are_found(tmp_path, monkeypatch, kind, mount):
    lines = [
        '36 31 0:33 / /sys/fs/cgroup/cpu rw,relatime shared:1 - cgroup cgroup rw,cpu',
        '37 31 0:34 / /sys/fs/cgroup/freezer rw,relatime shared:2 - cgroup cgroup rw,freezer',
        '41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate',
    ]
    (tmp_path / 'mountinfo').write_text('\n'.join(lines))
    monkeypatch.setattr(mounts, '_MOUNT_POINTS', tmp_path / 'mountinfo')
    halts._mount_of.cache_clear()
    try:
        assert halts._mount_of(kind) == Path(mount)
    finally:
        halts._mount_of.cache_clear()


def test_a_process_that_has_exited_is_not_held():
    with sleeper() as process:
        pid = process.pid
    assert not is_held(pid)
    assert not is_frozen(pid)


def test_a_process_that_runs_under_a_debugger_is_traced():
    """Stopped or not."""
    with sleeper() as process:
        assert not is_traced(process.pid)
        ptrace(PTRACE_SEIZE, process.pid)
        assert is_traced(process.pid)
        assert not is_held(process.pid)
