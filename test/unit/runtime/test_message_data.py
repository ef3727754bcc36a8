"""What a message's bytes may be set to, and what becomes of them."""

from __future__ import annotations

import array
import copy
import pickle

import numpy as np
import pytest
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from worker_pipeline.runtime.message_data import take_as_it_is

PIXELS = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)


@pytest.fixture(scope='module', autouse=True)
def as_it_is():
    """In this process from now on, as in a worker."""
    take_as_it_is(Image)
    take_as_it_is(Image)  # once is enough; twice does no harm


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
def test_bytes_are_taken_as_they_are(value, way):
    """Without a copy; and sent as they were."""
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
def test_what_is_no_buffer_of_bytes_is_taken_as_ever(value):
    """As numbers, one by one."""
    assert list(Image(data=value).data) == list(value)


def test_what_is_wrong_is_refused_as_ever():
    """By what refused it before."""
    with pytest.raises((TypeError, AssertionError)):
        Image(data=[1.5])
    with pytest.raises((OverflowError, AssertionError)):
        Image().data = [300]


def test_others_stay_as_they_are():
    """Only classes with bytes are touched."""
    take_as_it_is(Header)
    assert Header(frame_id='as ever').frame_id == 'as ever'
    assert Image().data == array.array('B')
    assert Image(height=3).height == 3


def test_a_copy_has_bytes_of_its_own():
    """A deep one; also one for another process."""
    message = Image(data=memoryview(PIXELS.tobytes()))
    for twin in (copy.deepcopy(message), pickle.loads(pickle.dumps(message))):
        assert twin == message
        assert isinstance(twin.data, array.array)
    with pytest.raises(TypeError):
        pickle.dumps(memoryview(array.array('d', [1.0])))
