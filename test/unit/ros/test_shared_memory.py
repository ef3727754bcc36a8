# SPDX-License-Identifier: Apache-2.0
"""Which files in shared memory are removed, and which are left alone."""

from __future__ import annotations

import fcntl
import mmap
import os
import subprocess
import sys
import time

import pytest

from worker_pipeline.ros import shared_memory

NAME = 'fastdds_00112233445566aa'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a folder that stands in for /dev/shm."""
    monkeypatch.setattr(shared_memory, 'FOLDER', tmp_path)
    return tmp_path


def make(folder, name: str, age: float):
    """Create a file of an age in seconds."""
    path = folder / name
    path.write_bytes(bytes(4096))
    os.utime(path, (time.time() - age, time.time() - age))
    return path


def test_an_old_unmapped_segment_is_removed_with_its_lock(folder):
    """Its process was killed, and so was the manager that would have cleaned up."""
    make(folder, NAME, 60.0)
    make(folder, f'{NAME}_el', 60.0)
    assert shared_memory.remove_orphaned_segments() == [NAME]
    assert list(folder.iterdir()) == []


def test_a_young_segment_and_a_port_are_left_alone(folder):
    """A process may be about to use them."""
    make(folder, NAME, 0.0)
    make(folder, 'fastdds_port7000', 60.0)
    assert shared_memory.remove_orphaned_segments() == []
    assert len(list(folder.iterdir())) == 2


def test_a_mapped_segment_is_left_alone(folder, monkeypatch):
    """However old, it is in use."""
    make(folder, NAME, 60.0)
    monkeypatch.setattr(shared_memory, '_mapped_by_others', lambda: {NAME})
    assert shared_memory.remove_orphaned_segments() == []


def test_a_locked_segment_is_left_alone(folder):
    """Its owner may be in another container, with invisible memory maps."""
    make(folder, NAME, 60.0)
    lock = make(folder, f'{NAME}_el', 60.0)
    code = 'import fcntl, sys; f = open(sys.argv[1]); fcntl.flock(f, 2); print("locked"); input()'
    owner = subprocess.Popen(
        [sys.executable, '-S', '-c', code, str(lock)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b'locked\n'
        assert shared_memory.remove_orphaned_segments() == []
        owner.kill()
    assert shared_memory.remove_orphaned_segments() == [NAME]


def test_a_lock_of_this_process_does_not_count(folder):
    """Fast DDS holds it until the process exits, and leaves the files behind."""
    make(folder, NAME, 60.0)
    with make(folder, f'{NAME}_el', 60.0).open('r+b') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert shared_memory.remove_orphaned_segments() == [NAME]


@pytest.mark.skipif(not os.path.isdir('/dev/shm'), reason='no /dev/shm')
def test_mapped_segments_are_found():
    """By the names in the process's memory map."""
    path = f'/dev/shm/{NAME}'
    try:
        with open(path, 'w+b') as file:
            file.write(bytes(4096))
            file.flush()
            with mmap.mmap(file.fileno(), 4096):
                assert NAME in shared_memory.mapped_by('self')
        assert NAME not in shared_memory.mapped_by('self')
    finally:
        os.unlink(path)


def test_an_exited_process_has_nothing_mapped():
    """Nor has one with an unreadable map."""
    assert shared_memory.mapped_by('999999999') == set()


def test_the_final_sweep_removes_dead_segments_but_not_ports_in_use(folder, monkeypatch):
    """An observer may still have both mapped, but needs only the port."""
    for name in (NAME, 'fastdds_port7411', 'fastdds_port7413'):
        make(folder, name, 0.0)
    mapped = {NAME, 'fastdds_port7411', 'fastdds_port7413'}
    monkeypatch.setattr(shared_memory, 'mapped_by', lambda _process: mapped)
    use = shared_memory.SharedMemoryUse()
    use.note()
    monkeypatch.setattr(shared_memory, '_mapped_by_others', lambda: {NAME, 'fastdds_port7411'})
    assert use.sweep() == ['fastdds_00112233445566aa', 'fastdds_port7413']
    assert [path.name for path in folder.iterdir()] == ['fastdds_port7411']
