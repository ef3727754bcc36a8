"""What is removed from shared memory, and what is left alone."""

from __future__ import annotations

import fcntl
import mmap
import os
import subprocess
import sys
import time

import pytest

from worker_pipeline.runtime import shared_memory

NAME = 'fastdds_00112233445566aa'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder that stands in for /dev/shm."""
    monkeypatch.setattr(shared_memory, 'FOLDER', tmp_path)
    return tmp_path


def make(folder, name: str, age: float):
    """A file as old as asked for."""
    path = folder / name
    path.write_bytes(bytes(4096))
    os.utime(path, (time.time() - age, time.time() - age))
    return path


def test_an_old_segment_that_nobody_has_mapped_is_removed_with_its_lock(folder):
    """Its process was killed, and so was whoever would have cleaned up."""
    make(folder, NAME, 60.0)
    make(folder, f'{NAME}_el', 60.0)
    assert shared_memory.sweep_the_dead() == [NAME]
    assert list(folder.iterdir()) == []


def test_a_young_segment_and_a_port_are_left_alone(folder):
    """Somebody may be about to use them."""
    make(folder, NAME, 0.0)
    make(folder, 'fastdds_port7000', 60.0)
    assert shared_memory.sweep_the_dead() == []
    assert len(list(folder.iterdir())) == 2


def test_what_another_process_has_mapped_is_left_alone(folder, monkeypatch):
    """It is in use, however old."""
    make(folder, NAME, 60.0)
    monkeypatch.setattr(shared_memory, '_mapped_by_others', lambda: {NAME})
    assert shared_memory.sweep_the_dead() == []


def test_what_its_owner_has_locked_is_left_alone(folder):
    """The owner may live where we cannot see its memory map: in another container."""
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
        assert shared_memory.sweep_the_dead() == []
        owner.kill()
    assert shared_memory.sweep_the_dead() == [NAME]


def test_our_own_lock_keeps_nothing(folder):
    """Fast DDS holds it until this process exits, and leaves the files behind."""
    make(folder, NAME, 60.0)
    with make(folder, f'{NAME}_el', 60.0).open('r+b') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert shared_memory.sweep_the_dead() == [NAME]


@pytest.mark.skipif(not os.path.isdir('/dev/shm'), reason='no /dev/shm')
def test_what_a_process_has_mapped_is_found():
    """By the names in its memory map."""
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


def test_a_process_that_is_gone_has_nothing_mapped():
    """Nor has one whose map may not be read."""
    assert shared_memory.mapped_by('999999999') == set()


def test_in_the_end_a_segment_of_the_dead_goes_and_a_port_in_use_stays(folder, monkeypatch):
    """An observer may still have both mapped: the one is of no use to it, the other may be."""
    for name in (NAME, 'fastdds_port7411', 'fastdds_port7413'):
        make(folder, name, 0.0)
    mapped = {NAME, 'fastdds_port7411', 'fastdds_port7413'}
    monkeypatch.setattr(shared_memory, 'mapped_by', lambda _process: mapped)
    use = shared_memory.SharedMemoryUse()
    use.note()
    monkeypatch.setattr(shared_memory, '_mapped_by_others', lambda: {NAME, 'fastdds_port7411'})
    assert use.sweep() == ['fastdds_00112233445566aa', 'fastdds_port7413']
    assert [path.name for path in folder.iterdir()] == ['fastdds_port7411']
