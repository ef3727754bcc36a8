# SPDX-License-Identifier: Apache-2.0
"""Message classes accept any buffer of bytes as data."""

from __future__ import annotations

import array
import copy
import pickle

import numpy as np
import pytest
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from worker_pipeline.frames.buffers import accept_buffers

PIXELS = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)


@pytest.fixture(scope='module', autouse=True)
def accepting_buffers():
    """Make the class accept buffers in this process, as in a worker."""
    accept_buffers(Image)
    accept_buffers(Image)  # a second call does no harm


@pytest.mark.parametrize(
    'value',
    [
        PIXELS,
        PIXELS.reshape(-1),
        PIXELS.data,
        PIXELS.data.cast('B'),
        PIXELS.tobytes(),
        bytearray(PIXELS.tobytes()),
        array.array('B', PIXELS.tobytes()),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize('way', ['set', 'made with'])
def test_buffers_of_bytes_are_not_copied(value, way):
    """And are sent as they are."""
    if way == 'set':
        message = Image()
        message.data = value
    else:
        message = Image(height=2, data=value)
    assert np.shares_memory(np.frombuffer(message.data, np.uint8), np.frombuffer(value, np.uint8))
    sent = deserialize_message(serialize_message(message), Image)
    assert bytes(sent.data) == PIXELS.tobytes()
    assert message == sent


@pytest.mark.parametrize(
    'value', [[1, 2, 3], (1, 2, 3), PIXELS.reshape(-1)[1:4], PIXELS.reshape(-1)[1:7:2].astype(int)]
)
def test_other_values_are_converted_as_before(value):
    """As numbers, one by one."""
    assert list(Image(data=value).data) == list(value)


def test_wrong_values_are_rejected_as_before():
    """By rclpy's own checks."""
    with pytest.raises((TypeError, AssertionError)):
        Image(data=[1.5])
    with pytest.raises((OverflowError, AssertionError)):
        Image().data = [300]


def test_other_classes_are_not_changed():
    """Only classes with a field of bytes are."""
    accept_buffers(Header)
    assert Header(frame_id='unchanged').frame_id == 'unchanged'
    assert Image().data == array.array('B')
    assert Image(height=3).height == 3


def test_a_copy_of_a_message_has_its_own_bytes():
    """A deep copy, and one pickled for another process."""
    message = Image(data=memoryview(PIXELS.tobytes()))
    for twin in (copy.deepcopy(message), pickle.loads(pickle.dumps(message))):
        assert twin == message
        assert isinstance(twin.data, array.array)
    with pytest.raises(TypeError):
        pickle.dumps(memoryview(array.array('d', [1.0])))
