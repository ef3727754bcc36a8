# SPDX-License-Identifier: Apache-2.0
"""Pictures as image_transport compresses them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from builtin_interfaces.msg import Time
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header

from worker_pipeline.airside.messages.jpeg import to_jpeg

HEADER = Header(frame_id='camera', stamp=Time(sec=5))


def smooth_picture():
    rows, columns = np.mgrid[0:60, 0:80]
    return np.dstack([rows * 4, columns * 3, 255 - rows - columns]).astype(np.uint8)


def test_a_picture_is_read_back_by_opencv_in_its_colours():
    sent = deserialize_message(
        serialize_message(to_jpeg(smooth_picture(), HEADER, 95)), CompressedImage
    )
    assert sent.format == 'bgr8; jpeg compressed bgr8'
    assert sent.header == HEADER
    found = cv2.imdecode(np.frombuffer(sent.data, np.uint8), cv2.IMREAD_COLOR)
    assert np.abs(found.astype(int) - smooth_picture()).mean() < 2


def test_a_lower_quality_is_smaller():
    noise = np.random.default_rng(1).integers(0, 255, (60, 80, 3), np.uint8)
    sizes = [len(to_jpeg(noise, HEADER, quality).data) for quality in (10, 50, 95)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1] / 2


def test_no_pixels_are_an_error():
    with pytest.raises((ValueError, cv2.error)):
        to_jpeg(np.zeros((0, 0, 3), np.uint8), HEADER, 80)
