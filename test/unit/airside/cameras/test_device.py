# SPDX-License-Identifier: Apache-2.0
"""Opening a camera."""

from __future__ import annotations

import cv2
import pytest

from worker_pipeline.airside.cameras.device import Device

SIZE = (64, 48)


def without(monkeypatch, missing):
    """Behave like an OpenCV that was built without a backend."""
    monkeypatch.setattr(cv2.videoio_registry, 'hasBackend', lambda code: code != missing)


@pytest.mark.parametrize(
    ('path', 'backend', 'opened'),
    [
        ('0', 'any', (0, cv2.CAP_V4L2)),
        ('/dev/video2', 'any', ('/dev/video2', cv2.CAP_V4L2)),
        ('v4l2src ! appsink', 'any', ('v4l2src ! appsink', cv2.CAP_GSTREAMER)),
        ('rtsp://camera/', 'any', ('rtsp://camera/', cv2.CAP_ANY)),
        ('rtsp://camera/', 'ffmpeg', ('rtsp://camera/', cv2.CAP_FFMPEG)),
    ],
)
def test_the_form_of_the_path_selects_the_backend(device, monkeypatch, path, backend, opened):
    without(monkeypatch, None)
    Device(path, backend, SIZE).open()
    assert device.opened == [opened]


def test_the_format_is_set_before_the_size(device):
    Device('0', 'any', SIZE, 30.0, 'MJPG').open()
    assert device.asked == [
        (cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*'MJPG')),
        (cv2.CAP_PROP_FRAME_WIDTH, 64),
        (cv2.CAP_PROP_FRAME_HEIGHT, 48),
        (cv2.CAP_PROP_FPS, 30.0),
    ]


@pytest.mark.parametrize('path', ['v4l2src ! appsink', '0'])
def test_a_backend_missing_in_opencv_is_named(monkeypatch, path):
    without(monkeypatch, cv2.CAP_GSTREAMER)
    with pytest.raises(OSError, match=r"backend: found 'gstreamer'.*without; allowed: 'any'"):
        Device(path, 'gstreamer', SIZE).open()


@pytest.mark.parametrize(
    ('path', 'text'),
    [
        ('', "path: found ''"),
        ('/dev/nothing', "'/dev/nothing' is not a camera.*: there is no /dev/nothing"),
        ('63', "'63' is not a camera.*: there is no /dev/video63"),
        ('/dev/null', 'is not a camera.*: /dev/null is in use or gives no images'),
        ('/nowhere/at_all.sdp', "'/nowhere/at_all.sdp' is not a camera that OpenCV can open$"),
    ],
)
def test_a_missing_camera_is_named(path, text):
    with pytest.raises(OSError, match=text):
        Device(path, 'any', SIZE).open()


def test_a_camera_of_another_size_is_rejected_and_released(device):
    device.size = (32, 16)
    with pytest.raises(OSError, match=r"'0' gives images of 32x16; allowed: 64x48"):
        Device('0', 'any', SIZE).open()
    assert device.given_back == 1
