# SPDX-License-Identifier: Apache-2.0
"""The folder of state that outlives a manager is private, and is gone after a clean end."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat

import pytest
from support.state_dirs import leave_behind, running

from worker_pipeline.recovery import folder_lock, user_folder
from worker_pipeline.recovery import state_dir as state_dir_module
from worker_pipeline.recovery.state_dir import PipelineStateDir, manager_of, state_dir_path

pytestmark = pytest.mark.usefixtures('base')


def test_each_namespace_in_each_domain_has_a_folder_of_its_own(base):
    """The root namespace is one of them."""
    namespaces = ['', '/', '/root', '/a', '/a/b', '/b', '/manager', '/workers']
    paths = {state_dir_path(name, domain) for name in namespaces for domain in (0, 1)}
    assert len(paths) == 2 * (len(namespaces) - 1)
    root = base / f'worker_pipeline_{os.getuid()}/7/.root'
    assert state_dir_path('', 7) == state_dir_path('/', 7) == root
    with contextlib.ExitStack() as stack:
        for name in namespaces[1:]:
            for domain in (0, 1):
                stack.enter_context(running(name, domain))
    assert list(base.iterdir()) == []


def test_without_shared_memory_the_folder_is_a_temporary_one(base, monkeypatch):
    """On other systems than Linux, or in a container without /dev/shm."""
    monkeypatch.setattr(state_dir_module, 'SHARED_MEMORY', base / 'none')
    monkeypatch.setattr(user_folder.tempfile, 'gettempdir', lambda: str(base / 'tmp'))
    assert state_dir_path('/a', 0).is_relative_to(base / 'tmp')


def test_the_folder_is_private():
    """Its files are read by programs that trust them."""
    with running() as state_dir:
        for path in (state_dir.path, state_dir.workers, state_dir.states):
            assert stat.S_IMODE(path.stat().st_mode) == 0o700
        assert stat.S_IMODE(state_dir.lock_file.stat().st_mode) == 0o600


def test_a_manager_that_shuts_down_cleanly_leaves_nothing(base):
    """Not even parent folders, unless another pipeline uses them."""
    with running('/other'):
        with running() as state_dir:
            state_dir.new_liveness_record('stage', 'worker_0', 1)
            state_dir.journal.write_bytes(b'journal')
            (state_dir.states / 'stage.worker_0').write_bytes(b'state')
            state_dir.add_helper_process(999_999_999)
        assert not state_dir.path.exists()
        assert [each.name for each in state_dir.path.parent.iterdir()] == ['other']
    assert list(base.iterdir()) == []


def test_a_manager_that_starts_nothing_leaves_the_earlier_state_in_place():
    """For example because its configuration is bad, while workers of the last manager still run."""
    leave_behind(journal=b'of the last manager')
    state_dir = PipelineStateDir('/airside', 3)
    state_dir.close(remove=False)
    with running() as state_dir:
        assert state_dir.journal.read_bytes() == b'of the last manager'


def test_after_release_there_is_no_manager():
    """Although its process lives on for a while."""
    state_dir = PipelineStateDir('/airside', 3)
    state_dir.close(remove=False)
    assert manager_of(state_dir.lock_file) is None


def test_closing_a_folder_that_was_removed_manually_raises_nothing():
    """A user has deleted it."""
    state_dir = PipelineStateDir('/airside', 3)
    shutil.rmtree(state_dir.path)
    state_dir.close(remove=True)


def test_a_file_in_place_of_the_folder_is_an_error(monkeypatch):
    """The attempt is not repeated for ever."""
    monkeypatch.setattr(folder_lock, 'LOCK_TIMEOUT', 0.01)
    path = state_dir_path('/airside', 3)
    path.parent.mkdir(parents=True)
    path.touch()
    with pytest.raises(FileExistsError):
        PipelineStateDir('/airside', 3)


def test_clear_removes_everything_but_the_lock_and_the_helper_processes():
    """The folder is then like new; earlier helper processes are still waited for."""
    leave_behind(journal=b'old', **{'journal.new': b'old'})
    with running() as state_dir:
        state_dir.new_liveness_record('a', 'w', 1)
        (state_dir.states / 'a.w').write_bytes(b'old')
        state_dir.add_helper_process(os.getpid())
        state_dir.clear()
        assert sorted(each.name for each in state_dir.path.iterdir()) == [
            'frames',
            'helpers',
            'manager',
            'states',
            'workers',
        ]
        assert state_dir.liveness_records() == {}
        assert list(state_dir.states.iterdir()) == []
        assert state_dir.helper_processes() == [os.getpid()]
        assert manager_of(state_dir.lock_file) == os.getpid()
        state_dir._helpers_file.unlink()
