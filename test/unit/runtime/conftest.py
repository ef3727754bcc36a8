"""A journal on a disk that may be full; and a worker's frames, as many as its test says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sensor_msgs.msg import Image
from support.journaling import RUN, Disk

from worker_pipeline.runtime.frame_messages import FrameMessages
from worker_pipeline.runtime.frame_reader import FrameReader
from worker_pipeline.runtime.frame_writer import FrameWriter
from worker_pipeline.runtime.journal import Journal


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'journal'


@pytest.fixture
def journal(path):
    found = Journal(path, RUN, payloads=True)
    yield found
    found.close()


@pytest.fixture
def disk(monkeypatch):
    found = Disk()
    monkeypatch.setattr(os, 'write', found)
    return found


@pytest.fixture
def told():
    """What a worker warns of."""
    return []


@pytest.fixture
def writer(tmp_path: Path, request):
    """One that may have ``LIMIT`` bytes, which its module says."""
    made = FrameWriter(tmp_path, '7.', request.module.LIMIT)
    yield made
    made.close()


@pytest.fixture
def messages(tmp_path: Path, writer, told):
    return FrameMessages(Image, Image, writer, FrameReader(tmp_path), told.append)
