"""Ports in shared memory that somebody was killed over while he made them."""

from __future__ import annotations

import os
import time

import pytest

from worker_pipeline.runtime import shared_memory

FINISHED = b'\2\0\0\0' + bytes(60)
BEGUN = {'empty': b'', 'nothing written': bytes(64), 'being written': b'\1\0\0\0' + bytes(60)}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(shared_memory, 'FOLDER', tmp_path)
    return tmp_path


def port(folder, number, content, age=60.0):
    path = folder / f'fastdds_port{number}'
    path.write_bytes(content)
    (folder / f'{path.name}_el').touch()
    then = time.time() - age
    os.utime(path, (then, then))
    return path


@pytest.mark.parametrize('content', BEGUN.values(), ids=BEGUN.keys())
def test_a_port_that_nobody_will_finish_is_removed(folder, content):
    """Whoever opened it would wait for ever. A port that is finished stays, so does the rest."""
    begun = port(folder, 7003, content)
    finished = port(folder, 7004, FINISHED)
    other = folder / 'fastdds_port_of_mine'
    other.touch()
    os.utime(other, (0, 0))
    assert shared_memory.sweep_the_unfinished() == [begun.name]
    assert set(folder.iterdir()) == {other, finished, folder / 'fastdds_port7004_el'}


def test_a_port_that_is_being_made_is_left_alone(folder):
    """It is finished within microseconds, by whoever makes it."""
    fresh = port(folder, 7003, bytes(64), age=0.0)
    assert shared_memory.sweep_the_unfinished() == []
    assert fresh.exists()
