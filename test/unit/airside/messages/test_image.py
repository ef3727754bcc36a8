# SPDX-License-Identifier: Apache-2.0
"""Conversion of images to arrays and back."""

from __future__ import annotations

import array

import numpy as np
import pytest
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image

from worker_pipeline.airside.messages import image


def checkered(height=6, width=4):
    return np.arange(height * width * 3, dtype=np.uint8).reshape(height, width, 3)


def test_pixels_are_unchanged_after_conversion_and_back():
    message = image.to_message(checkered(), 'camera')
    assert (message.height, message.width, message.step) == (6, 4, 12)
    assert (message.encoding, message.header.frame_id) == ('bgr8', 'camera')
    np.testing.assert_array_equal(image.from_message(message), checkered())


def test_conversion_copies_nothing():
    pixels = checkered()
    message = image.to_message(pixels, '')
    assert np.shares_memory(image.from_message(message), pixels)


def test_an_image_can_be_serialised():
    message = image.to_message(checkered(), '')
    sent = deserialize_message(serialize_message(message), Image)
    assert bytes(sent.data) == checkered().tobytes()


def test_a_slice_of_an_image_can_be_converted():
    part = checkered()[1:5, 1:3]
    np.testing.assert_array_equal(image.from_message(image.to_message(part, '')), part)


def test_rows_may_be_padded():
    message = image.to_message(checkered(2, 2), '')
    padded = np.zeros((2, 8), np.uint8)
    padded[:, :6] = checkered(2, 2).reshape(2, 6)
    message.step, message.data = 8, array.array('B', padded.tobytes())
    np.testing.assert_array_equal(image.from_message(message), checkered(2, 2))


def test_an_unknown_encoding_is_rejected_with_those_that_are_known():
    message = image.to_message(checkered(), '')
    message.encoding = 'jpeg2000'
    text = r"encoding: found 'jpeg2000'; allowed: mono8, bgr8"
    with pytest.raises(image.UnreadableImageError, match=text):
        image.from_message(message)


def test_an_image_with_missing_bytes_is_rejected():
    message = image.to_message(checkered(), '')
    message.data = message.data[:-1]
    with pytest.raises(ValueError, match='found 71 bytes for 4x6 pixels'):
        image.from_message(message)


def test_an_invalid_array_is_rejected():
    with pytest.raises(ValueError, match='allowed: uint8'):
        image.to_message(np.zeros((4, 4, 3)), '')
