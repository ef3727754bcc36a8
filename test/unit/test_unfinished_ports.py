"""Ports in shared memory that somebody was killed over while he made them."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from worker_pipeline.runtime import dds, shared_memory
from worker_pipeline.runtime.dds_profile import Transports

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
    assert shared_memory.is_unfinished(7003)
    assert not shared_memory.is_unfinished(7004)
    assert shared_memory.sweep_the_unfinished() == [begun.name]
    assert set(folder.iterdir()) == {other, finished, folder / 'fastdds_port7004_el'}
    assert not shared_memory.is_unfinished(7003)


def test_a_port_that_is_being_made_is_left_alone(folder):
    """It is finished within microseconds, by whoever makes it."""
    port(folder, 7003, bytes(64), age=0.0)
    assert shared_memory.sweep_the_unfinished() == []
    assert shared_memory.is_unfinished(7003)


def test_a_number_whose_port_is_unfinished_is_not_free(folder, monkeypatch, tmp_path_factory):
    """A participant gets the next one instead."""
    monkeypatch.setenv('ROS_DOMAIN_ID', '101')
    monkeypatch.setattr(dds, 'profile_variable', lambda: 'FASTDDS_DEFAULT_PROFILES_FILE')
    monkeypatch.setenv('FASTDDS_DEFAULT_PROFILES_FILE', '')
    monkeypatch.setenv(dds.RANGE, 'LOCALHOST')
    profile = tmp_path_factory.mktemp('profile') / 'profile.xml'
    profile.write_text('<rtps></rtps>')
    first = 7400 + 250 * 101 + 10 + 2 * 50
    port(folder, first, b'')
    port(folder, first + 3, bytes(64))
    with dds.participant(str(profile), Transports(loopback=False), 50):
        text = Path(os.environ['FASTDDS_DEFAULT_PROFILES_FILE']).read_text()
    assert '<participantID>52</participantID>' in text
