# SPDX-License-Identifier: Apache-2.0
"""A fake camera."""

from __future__ import annotations

import cv2
import pytest
from support.fake_camera import FakeDevice

from worker_pipeline.airside.cameras import live_capture


@pytest.fixture
def device(monkeypatch):
    """The device that ``cv2.VideoCapture`` opens. A failed camera is reopened after a moment."""
    fake = FakeDevice()
    monkeypatch.setattr(cv2, 'VideoCapture', fake)
    monkeypatch.setattr(live_capture, 'FIRST_PAUSE', 0.001)
    monkeypatch.setattr(live_capture, 'MAX_PAUSE', 0.002)
    yield fake
    fake.pull_out()
