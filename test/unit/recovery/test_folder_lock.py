# SPDX-License-Identifier: Apache-2.0
"""The lock of a folder that somebody removes or replaces while it is held."""

from __future__ import annotations

import os
import shutil
import socket

import pytest
from support.child_processes import child

from worker_pipeline.recovery.folder_lock import AlreadyRunningError, FolderLock, manager_of

HOLDER = """
import sys
from pathlib import Path
from worker_pipeline.recovery.folder_lock import FolderLock
lock = FolderLock(Path(sys.argv[1]), '/airside')
print('locked', flush=True)
input()
"""


@pytest.fixture
def folder(tmp_path):
    return tmp_path / 'user' / '3' / 'airside'


@pytest.fixture
def lock(folder):
    made = FolderLock(folder, '/airside')
    yield made
    made.release()


def test_a_lock_in_place_is_left_alone(lock, folder):
    assert lock.is_held()
    assert lock.is_folder_in_place()
    before = lock.file.stat().st_ino
    lock.acquire_anew()
    assert lock.file.stat().st_ino == before
    assert manager_of(folder / 'manager') == os.getpid()


def test_a_removed_lock_is_taken_anew(lock):
    lock.file.unlink()
    assert not lock.is_held()
    assert lock.is_folder_in_place()
    lock.acquire_anew()
    assert lock.is_held()
    assert manager_of(lock.file) == os.getpid()


@pytest.mark.parametrize('level', range(3))
@pytest.mark.parametrize('way', ['removed', 'renamed', 'a file', 'a link'])
def test_a_removed_folder_is_made_and_locked_anew(lock, folder, level, way):
    """Or one of those above it."""
    place = [folder, *folder.parents][level]
    place.rename(place.with_name('elsewhere'))
    if way == 'removed':
        shutil.rmtree(place.with_name('elsewhere'))
    elif way == 'a file':
        place.touch()
    elif way == 'a link':
        place.symlink_to('elsewhere')
    assert not lock.is_folder_in_place() or way == 'a link'
    lock.remake_folder()
    lock.acquire_anew()
    assert lock.is_folder_in_place()
    assert lock.is_held()
    assert folder.parents[1].stat().st_mode & 0o777 == 0o700


@pytest.mark.slow
def test_a_lock_that_another_process_has_is_not_ours(lock, folder):
    """Its pid is told, and the lock on the former file is kept."""
    shutil.rmtree(folder)
    with child(HOLDER, folder) as other:
        assert other.line() == 'locked'
        lock.remake_folder()
        with pytest.raises(AlreadyRunningError) as caught:
            lock.acquire_anew()
        assert caught.value.pid == other.pid
        assert not lock.is_held()
    lock.acquire_anew()
    assert lock.is_held()


def make_folder_of(path):
    path.mkdir()
    (path / 'in the way').touch()


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


@pytest.mark.parametrize(
    'make',
    [make_folder_of, os.mkfifo, make_socket, lambda path: path.symlink_to('/nowhere/at all')],
    ids=['folder', 'pipe', 'socket', 'link'],
)
def test_what_is_no_file_in_the_place_of_the_lock_is_set_aside(folder, make):
    """A start must not fail for ever because of it."""
    folder.mkdir(parents=True)
    make(folder / 'manager')
    lock = FolderLock(folder, '/airside')
    assert lock.is_held()
    assert lock.file.is_file()
    kept = folder / 'manager.damaged'
    assert lock.obstacles == [f'{lock.file}: of a wrong type; kept as {kept}']
    assert os.path.lexists(kept)
    lock.release()
