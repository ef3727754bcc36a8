# SPDX-License-Identifier: Apache-2.0
"""Only one manager at a time has the lock of its state folder, and its pid is known."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.child_processes import child, sleeper
from support.state_dirs import leave_behind, running

from worker_pipeline.recovery import folder_lock
from worker_pipeline.recovery.state_dir import (
    AlreadyRunningError,
    PipelineStateDir,
    manager_of,
    state_dir_path,
)
from worker_pipeline.system.proc import start_of

pytestmark = pytest.mark.usefixtures('base')

PREAMBLE = """
import os, sys, time
from pathlib import Path
from worker_pipeline.recovery import state_dir as state_dir_module
from worker_pipeline.recovery.state_dir import AlreadyRunningError, PipelineStateDir

state_dir_module.SHARED_MEMORY = Path(sys.argv[1])
"""
MANAGER = f"""{PREAMBLE}
state_dir = PipelineStateDir('/airside', 3)
print('locked', flush=True)
input()
state_dir.close(remove=True)
print('closed', flush=True)
"""
# Takes and releases the lock as fast as it can. No other process may find its mark meanwhile.
RESTLESS = f"""{PREAMBLE}
mark = Path(sys.argv[2])
taken = refused = 0
while taken < int(sys.argv[3]):
    try:
        state_dir = PipelineStateDir('/airside', 3)
    except AlreadyRunningError as error:
        refused += 1
        assert error.pid != os.getpid()
        continue
    os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
    record = state_dir.new_liveness_record('stage', 'worker_0', taken)
    state_dir.journal.write_bytes(b'journal')
    state_dir.add_helper_process(os.getpid() if taken % 10 == 0 else 1)
    (state_dir.states / 'stage.worker_0').write_bytes(b'state')
    found = list(state_dir.liveness_records())
    assert found == [('stage', 'worker_0')], found
    assert state_dir.lock_file.read_text().split()[0] == str(os.getpid())
    assert state_dir.journal.read_bytes() == b'journal'
    mark.unlink()
    taken += 1
    (state_dir.path / 'helpers').unlink()
    state_dir.close(remove=taken % 3 > 0)
print('done', taken, refused)
"""


@pytest.mark.slow
def test_a_second_manager_is_refused_with_the_pid_of_the_first(base):
    """The first one keeps running."""
    with child(MANAGER, base) as first:
        assert first.line() == 'locked'
        lock_file = state_dir_path('/airside', 3) / 'manager'
        for _ in range(2):
            with pytest.raises(AlreadyRunningError) as caught:
                PipelineStateDir('/airside', 3)
            assert caught.value.pid == manager_of(lock_file) == first.pid
            assert str(caught.value) == (
                f'/airside: found a manager already running, pid {first.pid}; '
                'allowed: one manager in a namespace'
            )
        with running('/other') as other:
            assert manager_of(other.lock_file) == os.getpid()
        first.tell()
        assert first.line() == 'closed'
    assert list(base.iterdir()) == []
    assert str(AlreadyRunningError('', 1)).startswith('/: found')


@pytest.mark.slow
def test_a_manager_of_another_pid_namespace_is_not_called_pid_0(base, monkeypatch):
    """Its pid is not one of this namespace: no process here has it, or a stranger."""
    monkeypatch.setattr(folder_lock, 'LOCK_TIMEOUT', 0.05)
    with child(MANAGER, base) as first:
        assert first.line() == 'locked'
        lock_file = state_dir_path('/airside', 3) / 'manager'
        lock_file.write_text('7 1')  # as seen from outside
        with pytest.raises(AlreadyRunningError, match='running, pid 7 in another PID namespace'):
            PipelineStateDir('/airside', 3)
        lock_file.write_text('')
        with pytest.raises(AlreadyRunningError, match='running, pid not known; allowed'):
            PipelineStateDir('/airside', 3)
        first.tell()
        assert first.line() == 'closed'


@pytest.mark.slow
@pytest.mark.parametrize('attempt', range(3))
def test_the_lock_of_a_killed_manager_is_free_at_once(base, attempt: int):  # noqa: ARG001
    """Its files are still there, and no manager is reported."""
    with child(MANAGER, base) as first:
        assert first.line() == 'locked'
        (state_dir_path('/airside', 3) / 'journal').write_bytes(b'of the first')
        first.kill()
        assert manager_of(state_dir_path('/airside', 3) / 'manager') is None
    with running() as state_dir:
        assert state_dir.journal.read_bytes() == b'of the first'
        assert manager_of(state_dir.lock_file) == os.getpid()


def test_another_process_with_a_reused_pid_is_not_taken_for_the_manager():
    """The start time is written beside the pid."""
    with running() as state_dir:
        pid = os.getpid()
        state_dir.lock_file.write_text(f'{pid} {start_of(pid)}')
        assert manager_of(state_dir.lock_file) == pid
        state_dir.lock_file.write_text(f'{pid} {start_of(pid) - 1}')
        assert manager_of(state_dir.lock_file) is None


@pytest.mark.parametrize('text', ['', '17', '1 2 3', 'no pid', '999999999 1'])
def test_a_lock_file_without_a_valid_pid_names_no_manager(tmp_path, text: str):
    """For example one that is not written yet."""
    (tmp_path / 'manager').write_text(text)
    assert manager_of(tmp_path / 'manager') is None
    assert manager_of(tmp_path / 'none') is None


def test_the_previous_content_of_the_lock_file_is_replaced():
    """Also where it was longer."""
    leave_behind()
    lock_file = state_dir_path('/airside', 3) / 'manager'
    lock_file.write_text('1234567890 12345678901234567890\n')
    with running():
        assert lock_file.read_text() == f'{os.getpid()} {start_of(os.getpid())}'


def test_child_processes_do_not_inherit_the_lock():
    """A worker that outlives its manager does not keep the next manager out."""
    state_dir = PipelineStateDir('/airside', 3)
    code = 'import os; print(*(os.readlink(f"/proc/self/fd/{fd}") for fd in range(3, 60) if '
    code += 'os.path.exists(f"/proc/self/fd/{fd}")))'
    run = subprocess.run(
        [sys.executable, '-S', '-c', code], close_fds=False, capture_output=True, text=True
    )
    assert 'manager' not in run.stdout
    state_dir.close(remove=False)
    with sleeper(), running():
        pass


def test_a_manager_waits_while_another_one_is_shutting_down(monkeypatch):
    """Its pid is removed already; no error with "pid 0" is raised."""
    first = PipelineStateDir('/airside', 3)
    first.lock_file.write_text('')
    tried = []
    sleep = folder_lock.time.sleep

    def leave(seconds):
        tried.append(seconds)
        if len(tried) == 2:
            first.close(remove=True)
        sleep(0)

    monkeypatch.setattr(folder_lock.time, 'sleep', leave)
    with running() as state_dir:
        assert len(tried) == 2
        assert state_dir.workers.is_dir()


def test_a_lock_on_a_removed_file_is_not_a_lock(monkeypatch):
    """The file was opened just before the previous holder removed it."""
    first = PipelineStateDir('/airside', 3)
    flock = folder_lock.fcntl.flock

    def late(file, operation):
        monkeypatch.setattr(folder_lock.fcntl, 'flock', flock)
        first.close(remove=True)
        flock(file, operation)

    monkeypatch.setattr(folder_lock.fcntl, 'flock', late)
    with running() as state_dir:
        assert manager_of(state_dir.lock_file) == os.getpid()
        assert state_dir.workers.is_dir()


def test_a_manager_that_never_writes_its_pid_is_reported_with_pid_0(monkeypatch):
    """It holds the lock all the same."""
    monkeypatch.setattr(folder_lock, 'LOCK_TIMEOUT', 0.01)
    with running() as first:
        first.lock_file.write_text('')
        with pytest.raises(AlreadyRunningError) as caught:
            PipelineStateDir('/airside', 3)
        assert caught.value.pid == 0


@pytest.mark.slow
def test_only_one_of_many_managers_has_the_lock_at_a_time(base, tmp_path):
    """Each finds the folder complete, whether its predecessor removed it or not."""
    with contextlib.ExitStack() as stack:
        crowd = [
            stack.enter_context(child(RESTLESS, base, tmp_path / 'mark', 30)) for _ in range(4)
        ]
        printed = [each.rest() for each in crowd]
        assert [each.wait() for each in crowd] == [0, 0, 0, 0]
    assert [lines[0].split()[:2] for lines in printed] == [['done', '30']] * 4


def test_the_lock_file_is_removed_last(monkeypatch):
    """Once it is gone, the folder may belong to the next manager."""
    state_dir = PipelineStateDir('/airside', 3)
    state_dir.new_liveness_record('stage', 'worker_0', 1)
    state_dir.journal.touch()
    seen = []
    unlink = Path.unlink

    def watched(path, **options):
        if path == state_dir.lock_file:
            seen.append([each.name for each in state_dir.path.iterdir()])
        unlink(path, **options)

    monkeypatch.setattr(Path, 'unlink', watched)
    state_dir.close(remove=True)
    assert seen == [['manager']]
