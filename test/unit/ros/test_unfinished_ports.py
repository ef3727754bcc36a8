# SPDX-License-Identifier: Apache-2.0
"""Shared memory ports of a killed creator are removed."""

from __future__ import annotations

import os
import time

import pytest

from worker_pipeline.ros import shared_memory

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
def test_an_unfinished_port_is_removed(folder, content):
    """A process that opened it would wait for ever. Finished ports and other files stay."""
    begun = port(folder, 7003, content)
    finished = port(folder, 7004, FINISHED)
    other = folder / 'fastdds_port_of_mine'
    other.touch()
    os.utime(other, (0, 0))
    assert shared_memory.remove_unfinished_ports() == [begun.name]
    assert set(folder.iterdir()) == {other, finished, folder / 'fastdds_port7004_el'}


def test_a_port_that_is_being_created_is_left_alone(folder):
    """Its creator finishes it within microseconds."""
    fresh = port(folder, 7003, bytes(64), age=0.0)
    assert shared_memory.remove_unfinished_ports() == []
    assert fresh.exists()
