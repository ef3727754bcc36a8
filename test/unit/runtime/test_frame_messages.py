"""Messages whose bytes are in shared memory, as a stage sees them."""

from __future__ import annotations

import array

import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage, Image, PointCloud2
from std_msgs.msg import Header

from worker_pipeline.airside.image import from_message, to_message
from worker_pipeline.runtime.frame_messages import LEAST, FrameMessages
from worker_pipeline.runtime.frame_reader import FrameGoneError, FrameReader
from worker_pipeline.runtime.frame_reference import decode, is_reference

LIMIT = 4 << 20


def image(seed: int, height: int = 120, width: int = 200) -> Image:
    data = np.random.default_rng(seed).integers(0, 256, height * width * 3, np.uint8)
    message = Image(height=height, width=width, encoding='bgr8', step=width * 3)
    message.header.frame_id = f'camera {seed}'
    message.data = array.array('B', data.tobytes())
    return message


def test_an_image_goes_by_reference_and_is_the_same(messages):
    """What travels is small; nothing of the message given is changed."""
    given = image(1)
    payload = messages.serialize(given)
    assert is_reference(payload)
    assert len(payload) < 200
    assert given == image(1)
    seen = messages.deserialize(payload)
    assert bytes(seen.data) == given.data.tobytes()
    assert (seen.header, seen.height, seen.step) == (given.header, given.height, given.step)


def test_the_pixels_are_where_they_were_written(messages, writer):
    """No copy: what the producer wrote is what the stage looks at, and cannot change."""
    payload = messages.serialize(image(1))
    pixels = from_message(messages.deserialize(payload))
    assert not pixels.flags.writeable
    writer._used[decode(payload).frame].memory[64] = 1
    first = int(pixels[0, 0, 0])
    writer._used[decode(payload).frame].memory[64] = 2
    assert (first, int(pixels[0, 0, 0])) == (1, 2)


@pytest.mark.parametrize('kept', ['nothing', 'the message', 'its data', 'the pixels', 'a part'])
def test_whoever_looks_is_known(messages, kept):
    """A stage may keep what it likes: as long as it does, the frame is not written over."""
    payload = messages.serialize(image(1))
    looks = {
        'nothing': lambda _: None,
        'the message': lambda message: message,
        'its data': lambda message: message.data,
        'the pixels': from_message,
        'a part': lambda message: np.frombuffer(message.data, np.uint8)[5:9].reshape(2, 2),
    }
    held = looks[kept](messages.deserialize(payload))
    assert messages.looked_at() == ([] if kept == 'nothing' else [payload])
    del held
    assert messages.looked_at() == []


@pytest.mark.parametrize(
    'way',
    [
        lambda message: message,
        lambda message: to_message(from_message(message), 'anew'),
        lambda message: Image(data=message.data),
        lambda message: Image(data=np.frombuffer(message.data, np.uint8)),
    ],
    ids=['the message', 'its pixels', 'its data', 'an array of it'],
)
def test_what_is_passed_on_is_not_written_again(messages, way):
    """It is where it is; the reference has the rest of the message that was made."""
    payload = messages.serialize(image(1))
    output = way(messages.deserialize(payload))
    passed_on = messages.serialize(output)
    before, after = decode(payload), decode(passed_on)
    assert (after.block, after.frame) == (before.block, before.frame)
    assert messages.deserialize(passed_on) == output
    fresh = messages.serialize(image(2))
    assert decode(fresh).frame == before.frame + 1


@pytest.mark.parametrize('rows', [slice(1, None), slice(0, 119)])
def test_a_part_that_is_passed_on_is_a_frame_of_its_own(messages, rows):
    """As is a copy."""
    payload = messages.serialize(image(1))
    pixels = from_message(messages.deserialize(payload))
    part = messages.serialize(to_message(pixels[rows], 'a part'))
    copied = messages.serialize(to_message(pixels.copy(), 'a copy'))
    assert [decode(each).frame for each in (part, copied)] == [2, 3]
    assert np.array_equal(from_message(messages.deserialize(part)), pixels[rows])


def test_a_copy_is_not_a_look(messages):
    """Nobody needs the frame for it."""
    message = messages.deserialize(messages.serialize(image(1)))
    copy = from_message(message).copy()
    del message
    assert messages.looked_at() == []
    assert np.array_equal(copy, from_message(image(1)))


def test_small_ones_and_others_go_the_ordinary_way(messages, tmp_path, writer, told):
    """As do all where there is no shared memory."""
    assert not is_reference(messages.serialize(image(1, 10, 10)))
    reader = FrameReader(tmp_path)
    headers = FrameMessages(Header, Header, writer, reader, told.append)
    assert not is_reference(headers.serialize(Header()))
    without = FrameMessages(Image, Image, None, reader, told.append)
    payload = without.serialize(image(1))
    assert not is_reference(payload)
    assert without.deserialize(payload) == image(1)


@pytest.mark.parametrize('kind', [CompressedImage, PointCloud2])
def test_other_kinds_go_too(tmp_path, writer, told, kind):
    """Whatever has bytes enough."""
    both = FrameMessages(kind, kind, writer, FrameReader(tmp_path), told.append)
    given = kind()
    given.data = array.array('B', bytes(range(256)) * (LEAST // 256))
    if kind is PointCloud2:
        given.is_dense = True
    payload = both.serialize(given)
    assert is_reference(payload)
    seen = both.deserialize(payload)
    assert bytes(seen.data) == given.data.tobytes()
    assert kind is not PointCloud2 or seen.is_dense


def test_without_room_frames_go_the_ordinary_way_and_it_is_told_once(messages, told):
    """The flight goes on."""
    payloads = [messages.serialize(image(1, 1000, 500)) for _ in range(4)]
    assert [is_reference(each) for each in payloads] == [True, True, False, False]
    assert len(told) == 1
    assert 'frames go by sockets instead of shared memory: found ' in told[0]
    assert messages.deserialize(payloads[3]) == image(1, 1000, 500)


def test_who_comes_too_late_is_told(messages, writer):
    """Never other pixels."""
    payload = messages.serialize(image(1))
    writer.release(decode(payload).frame)
    messages.serialize(image(2))
    with pytest.raises(FrameGoneError):
        messages.deserialize(payload)
