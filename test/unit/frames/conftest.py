# SPDX-License-Identifier: Apache-2.0
"""A worker's frames in shared memory, as many bytes as its test module's ``LIMIT`` allows."""

from __future__ import annotations

from pathlib import Path

import pytest
from sensor_msgs.msg import Image

from worker_pipeline.frames.codec import FrameCodec
from worker_pipeline.frames.reader import FrameReader
from worker_pipeline.frames.writer import FrameWriter


@pytest.fixture
def warnings():
    """Return the warnings logged so far."""
    return []


@pytest.fixture
def writer(tmp_path: Path, request):
    made = FrameWriter(tmp_path, '7.', request.module.LIMIT)
    yield made
    made.close()


@pytest.fixture
def codec(tmp_path: Path, writer, warnings):
    return FrameCodec(Image, Image, writer, FrameReader(tmp_path), warnings.append)
