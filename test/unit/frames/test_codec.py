# SPDX-License-Identifier: Apache-2.0
"""Messages with data in shared memory, as a stage sees them."""

from __future__ import annotations

import array

import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage, Image, PointCloud2
from std_msgs.msg import Header

from worker_pipeline.airside.messages.image import from_message, to_message
from worker_pipeline.frames.codec import MIN_FRAME_BYTES, FrameCodec
from worker_pipeline.frames.reader import FrameGoneError, FrameReader
from worker_pipeline.frames.reference import decode, is_reference

LIMIT = 4 << 20


def image(seed: int, height: int = 120, width: int = 200) -> Image:
    data = np.random.default_rng(seed).integers(0, 256, height * width * 3, np.uint8)
    message = Image(height=height, width=width, encoding='bgr8', step=width * 3)
    message.header.frame_id = f'camera {seed}'
    message.data = array.array('B', data.tobytes())
    return message


def test_an_image_is_sent_by_reference_and_arrives_unchanged(codec):
    """The payload is small, and the message itself is not changed."""
    given = image(1)
    payload = codec.serialize(given)
    assert is_reference(payload)
    assert len(payload) < 200
    assert given == image(1)
    seen = codec.deserialize(payload)
    assert bytes(seen.data) == given.data.tobytes()
    assert (seen.header, seen.height, seen.step) == (given.header, given.height, given.step)


def test_pixels_are_read_in_place(codec, writer):
    """Without a copy: the stage reads the producer's memory, and cannot change it."""
    payload = codec.serialize(image(1))
    pixels = from_message(codec.deserialize(payload))
    assert not pixels.flags.writeable
    writer._used[decode(payload).frame].memory[64] = 1
    first = int(pixels[0, 0, 0])
    writer._used[decode(payload).frame].memory[64] = 2
    assert (first, int(pixels[0, 0, 0])) == (1, 2)


@pytest.mark.parametrize('kept', ['nothing', 'the message', 'its data', 'the pixels', 'a part'])
def test_a_frame_is_retained_while_the_stage_references_it(codec, kept):
    """Any view counts; until then the frame is not overwritten."""
    payload = codec.serialize(image(1))
    views = {
        'nothing': lambda _: None,
        'the message': lambda message: message,
        'its data': lambda message: message.data,
        'the pixels': from_message,
        'a part': lambda message: np.frombuffer(message.data, np.uint8)[5:9].reshape(2, 2),
    }
    held = views[kept](codec.deserialize(payload))
    assert codec.retained_frames() == ([] if kept == 'nothing' else [payload])
    del held
    assert codec.retained_frames() == []


@pytest.mark.parametrize(
    'way',
    [
        lambda message: message,
        lambda message: to_message(from_message(message), 'new'),
        lambda message: Image(data=message.data),
        lambda message: Image(data=np.frombuffer(message.data, np.uint8)),
    ],
    ids=['the message', 'its pixels', 'its data', 'an array of it'],
)
def test_input_that_is_passed_on_is_not_written_again(codec, way):
    """The new reference has the same frame and the fields of the new message."""
    payload = codec.serialize(image(1))
    output = way(codec.deserialize(payload))
    passed_on = codec.serialize(output)
    before, after = decode(payload), decode(passed_on)
    assert (after.block, after.frame) == (before.block, before.frame)
    assert codec.deserialize(passed_on) == output
    fresh = codec.serialize(image(2))
    assert decode(fresh).frame == before.frame + 1


@pytest.mark.parametrize('rows', [slice(1, None), slice(0, 119)])
def test_a_part_of_the_input_becomes_a_new_frame(codec, rows):
    """As does a copy."""
    payload = codec.serialize(image(1))
    pixels = from_message(codec.deserialize(payload))
    part = codec.serialize(to_message(pixels[rows], 'a part'))
    copied = codec.serialize(to_message(pixels.copy(), 'a copy'))
    assert [decode(each).frame for each in (part, copied)] == [2, 3]
    assert np.array_equal(from_message(codec.deserialize(part)), pixels[rows])


def test_a_copy_does_not_retain_the_frame(codec):
    """It does not reference the shared memory."""
    message = codec.deserialize(codec.serialize(image(1)))
    copy = from_message(message).copy()
    del message
    assert codec.retained_frames() == []
    assert np.array_equal(copy, from_message(image(1)))


def test_small_messages_and_other_types_are_sent_inline(codec, tmp_path, writer, warnings):
    """As are all messages if there is no shared memory."""
    assert not is_reference(codec.serialize(image(1, 10, 10)))
    reader = FrameReader(tmp_path)
    headers = FrameCodec(Header, Header, writer, reader, warnings.append)
    assert not is_reference(headers.serialize(Header()))
    without = FrameCodec(Image, Image, None, reader, warnings.append)
    payload = without.serialize(image(1))
    assert not is_reference(payload)
    assert without.deserialize(payload) == image(1)


@pytest.mark.parametrize('kind', [CompressedImage, PointCloud2])
def test_other_types_with_data_are_sent_by_reference(tmp_path, writer, warnings, kind):
    """If the data is large enough."""
    both = FrameCodec(kind, kind, writer, FrameReader(tmp_path), warnings.append)
    given = kind()
    given.data = array.array('B', bytes(range(256)) * (MIN_FRAME_BYTES // 256))
    if kind is PointCloud2:
        given.is_dense = True
    payload = both.serialize(given)
    assert is_reference(payload)
    seen = both.deserialize(payload)
    assert bytes(seen.data) == given.data.tobytes()
    assert kind is not PointCloud2 or seen.is_dense


def test_without_memory_frames_are_sent_inline_with_one_warning(codec, warnings):
    """The pipeline continues."""
    payloads = [codec.serialize(image(1, 1000, 500)) for _ in range(4)]
    assert [is_reference(each) for each in payloads] == [True, True, False, False]
    assert len(warnings) == 1
    assert 'frames are sent by socket instead of shared memory: found ' in warnings[0]
    assert codec.deserialize(payloads[3]) == image(1, 1000, 500)


def test_a_freed_frame_raises_frame_gone_error(codec, writer):
    """The stage never sees other pixels."""
    payload = codec.serialize(image(1))
    writer.release(decode(payload).frame)
    codec.serialize(image(2))
    with pytest.raises(FrameGoneError):
        codec.deserialize(payload)
