# SPDX-License-Identifier: Apache-2.0
"""Loaned memory: output written there is sent without a copy, and never torn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sensor_msgs.msg import CompressedImage, Image, PointCloud2
from std_msgs.msg import Header

from worker_pipeline.airside.messages.image import from_message, to_message
from worker_pipeline.frames.blocks import total_size
from worker_pipeline.frames.codec import FrameCodec
from worker_pipeline.frames.reader import FrameReader
from worker_pipeline.frames.reference import MIN_FRAME_BYTES, decode, is_reference
from worker_pipeline.frames.writer import FrameWriter, address_of

LIMIT = 4 << 20
SHAPE = (120, 200, 3)


def draw(codec: FrameCodec, seed: int, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    """Return borrowed pixels filled with noise."""
    pixels = codec.loan(shape, np.uint8)
    pixels[:] = noise(seed, shape)
    return pixels


def noise(seed: int, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def seen(codec: FrameCodec, payload: bytes) -> np.ndarray:
    """Return the pixels that a receiver of the payload sees."""
    return from_message(codec.deserialize(payload))


def test_borrowed_pixels_become_a_frame_without_a_copy(codec, writer):
    """Readers see the memory that the stage wrote to."""
    pixels = draw(codec, 1)
    place = address_of(pixels)
    message = to_message(pixels, 'camera')
    del pixels
    payload = codec.serialize(message)
    del message
    assert is_reference(payload)
    assert np.array_equal(seen(codec, payload), noise(1))
    assert address_of(writer._used[decode(payload).frame].writable(1)) == place


HOLDS = {
    'the array': lambda pixels, _: pixels,
    'a part': lambda pixels, _: pixels[5:9, :, 1],
    'another view': lambda pixels, _: pixels.reshape(-1).view(np.uint16),
    'a buffer': lambda pixels, _: memoryview(pixels),
    "the message's data": lambda _, message: message.data,
    "a part of the message's data": lambda _, message: message.data[7:],
    "an array of the message's data": lambda _, message: np.frombuffer(message.data, np.uint8),
}


@pytest.mark.parametrize('hold', HOLDS.values(), ids=HOLDS)
def test_a_borrowed_array_that_the_stage_keeps_is_sent_as_a_copy(codec, hold):
    """Writing to it later changes neither the frame nor the message."""
    pixels = draw(codec, 1)
    message = to_message(pixels, 'camera')
    held = (
        np.frombuffer(hold(pixels, message), np.uint8)
        if hold is HOLDS['a buffer']
        else hold(pixels, message)
    )
    place = address_of(pixels)
    del pixels
    payload = codec.serialize(message)
    assert np.array_equal(from_message(message), noise(1))
    view = seen(codec, payload)
    assert address_of(view) != place
    np.asarray(held)[...] = 0
    assert np.array_equal(view, noise(1))
    del held, message
    assert np.array_equal(draw(codec, 2), noise(2))
    assert np.array_equal(view, noise(1))


def test_an_output_message_that_the_stage_keeps_retains_its_frame(codec):
    """As an input does: its data is read-only, and its frame is not overwritten."""
    message = to_message(draw(codec, 1), 'camera')
    payload = codec.serialize(message)
    assert codec.retained_frames() == [payload]
    assert not from_message(message).flags.writeable
    assert np.array_equal(from_message(message), noise(1))
    del message
    assert codec.retained_frames() == []


def test_a_message_sent_twice_is_one_frame(codec):
    """The data is in shared memory already."""
    message = to_message(draw(codec, 1), 'camera')
    first = codec.serialize(message)
    message.header.stamp.sec = 5
    second = codec.serialize(message)
    assert decode(second).frame == decode(first).frame
    assert codec.deserialize(second).header.stamp.sec == 5


def test_unused_loans_are_reclaimed(codec, tmp_path):
    """A stage that fails, or has no output, leaks no memory."""
    places = set()
    for seed in range(20):
        pixels = draw(codec, seed)
        places.add(address_of(pixels))
        del pixels
    assert len(places) == 1
    used = total_size(tmp_path)
    kept = [draw(codec, seed) for seed in range(6)]
    assert total_size(tmp_path) == 6 * used
    for seed, pixels in enumerate(kept):
        assert np.array_equal(pixels, noise(seed))


def test_loaned_blocks_are_not_evicted_by_other_writers(codec, tmp_path):
    """Though they hold no frame, and memory is full."""
    pixels = draw(codec, 1)
    other = FrameWriter(tmp_path, '8.', total_size(tmp_path))
    with pytest.raises(Exception, match='MB of frames; allowed'):
        other.write(memoryview(bytes(pixels.nbytes)))
    assert np.array_equal(pixels, noise(1))
    del pixels
    draw(codec, 2)  # its loan is reclaimed by the next one
    codec.loan(SHAPE, np.uint8)


def test_low_memory_is_not_loaned(codec, tmp_path, warnings):
    """The rest is for frames that are ready; borrowers get ordinary memory."""
    payloads = [codec.serialize(to_message(noise(seed, (600, 600, 3)), '')) for seed in range(2)]
    used = total_size(tmp_path)
    pixels = draw(codec, 9)
    assert total_size(tmp_path) == used
    payload = codec.serialize(to_message(pixels, 'camera'))
    assert total_size(tmp_path) > used
    assert np.array_equal(seen(codec, payload), noise(9))
    assert all(map(is_reference, [*payloads, payload]))
    assert not warnings


def test_free_blocks_of_the_writer_itself_can_be_loaned(codec, tmp_path):
    """A camera with little memory borrows its previous block again."""
    for seed in range(2):
        codec.serialize(to_message(noise(seed, (600, 600, 3)), ''))
    used = total_size(tmp_path)
    codec.release([1, 2])
    kept = codec.loan((600, 600, 3), np.uint8)
    assert total_size(tmp_path) == used
    payload = codec.serialize(to_message(kept, ''))  # a copy, as the array is kept
    codec.release([decode(payload).frame])
    message = to_message(kept, '')
    del kept
    assert decode(codec.serialize(message)).block != decode(payload).block


def test_without_shared_memory_ordinary_memory_is_borrowed(tmp_path, warnings):
    """Also for small arrays, and for types that cannot share their data."""
    reader = FrameReader(tmp_path)
    without = FrameCodec(Image, Image, None, reader, warnings.append)
    payload = without.serialize(to_message(draw(without, 1), 'camera'))
    assert not is_reference(payload)
    assert np.array_equal(from_message(without.deserialize(payload)), noise(1))
    writer = FrameWriter(tmp_path, '7.', LIMIT)
    small = FrameCodec(Image, Image, writer, reader, warnings.append)
    headers = FrameCodec(Header, Header, writer, reader, warnings.append)
    kept = [small.loan((10, 10, 3), np.uint8), headers.loan(SHAPE, np.uint8)]
    assert [each.shape for each in kept] == [(10, 10, 3), SHAPE]
    assert total_size(tmp_path) == 0


def test_the_beginning_of_a_borrowed_array_can_be_sent(tmp_path, writer, warnings):
    """The size of a compressed image is not known in advance."""
    codec = FrameCodec(CompressedImage, CompressedImage, writer, FrameReader(tmp_path), warnings)
    borrowed = codec.loan(2 * MIN_FRAME_BYTES, np.uint8)
    borrowed[: MIN_FRAME_BYTES + 5] = noise(1, (MIN_FRAME_BYTES + 5,))
    place = address_of(borrowed)
    message = CompressedImage(format='jpeg')
    message.data = borrowed[: MIN_FRAME_BYTES + 5]
    del borrowed
    payload = codec.serialize(message)
    view = np.frombuffer(codec.deserialize(payload).data, np.uint8)
    assert np.array_equal(view, noise(1, (MIN_FRAME_BYTES + 5,)))
    assert address_of(writer._used[decode(payload).frame].writable(1)) == place


def test_a_part_that_begins_later_is_copied(codec):
    """Such as an image without its first rows."""
    pixels = draw(codec, 1)
    message = to_message(pixels[10:], 'camera')
    del pixels
    payload = codec.serialize(message)
    assert np.array_equal(seen(codec, payload), noise(1)[10:])


def test_borrowed_arrays_may_have_any_element_type(tmp_path, writer, warnings):
    """A point cloud is an array of records."""
    codec = FrameCodec(PointCloud2, PointCloud2, writer, FrameReader(tmp_path), warnings.append)
    point = np.dtype([('x', '<f4'), ('y', '<f4'), ('label', '<u2')])
    points = codec.loan(MIN_FRAME_BYTES, point)
    points['x'], points['y'], points['label'] = 1.5, -2.0, np.arange(MIN_FRAME_BYTES) % 1000
    place = address_of(points)
    message = PointCloud2(is_dense=True, width=len(points), height=1, point_step=point.itemsize)
    message.data = points.view(np.uint8)
    del points
    payload = codec.serialize(message)
    assert address_of(writer._used[decode(payload).frame].writable(1)) == place
    given = np.frombuffer(codec.deserialize(payload).data, point)
    assert given['label'][999] == 999
    assert (given['x'] == 1.5).all()


class Stage(RuleBasedStateMachine):
    """A stage that does anything with arrays and messages that it borrows, makes and keeps.

    Frames are released as by the manager: when no item needs them and the stage retains none.
    """

    drawn, sent = Bundle('drawn'), Bundle('sent')
    folder: Path

    def __init__(self) -> None:
        super().__init__()
        for path in self.folder.iterdir():
            path.unlink()
        self.writer = FrameWriter(self.folder, '7.', LIMIT)
        self.codec = FrameCodec(Image, Image, self.writer, FrameReader(self.folder), print)
        # Payloads and the sent arrays. Not by payload: Fast CDR 2.3.3 leaves padding as the heap
        # had it, so that payloads of equal messages differ now and then.
        self.needed: list[tuple[bytes, np.ndarray]] = []
        self.held: list[tuple[np.ndarray, np.ndarray]] = []  # and the expected content
        self.seed = 0

    def draw(self, pixels: np.ndarray) -> int:
        self.seed += 1
        pixels[:] = noise(self.seed)
        return self.seed

    @rule(target=drawn, borrows=st.booleans())
    def make(self, borrows: bool) -> tuple[list[np.ndarray], int]:
        pixels = self.codec.loan(SHAPE, np.uint8) if borrows else np.empty(SHAPE, np.uint8)
        return [pixels], self.draw(pixels)

    @rule(each=consumes(drawn))
    def forget(self, each: tuple[list[np.ndarray], int]) -> None:
        each[0].clear()

    @rule(target=sent, each=consumes(drawn), holds=st.booleans(), keeps=st.booleans())
    def send(self, each: tuple[list[np.ndarray], int], holds: bool, keeps: bool) -> list[Image]:
        pixels, seed = each
        message = to_message(pixels[0], str(seed))
        if holds:
            self.held.append((pixels[0], noise(seed)))
        pixels.clear()
        self.serialize(message)
        return [message] if keeps else []

    def serialize(self, message: Image) -> None:
        pixels = from_message(message).copy()
        self.needed.append((self.codec.serialize(message), pixels))

    @rule(messages=sent)
    def send_again(self, messages: list[Image]) -> None:
        for message in messages:
            self.serialize(message)

    @rule(messages=consumes(sent))
    def drop(self, messages: list[Image]) -> None:
        messages.clear()

    @rule(data=st.data())
    def write_to_a_kept_array(self, data: st.DataObject) -> None:
        if self.held:
            place = data.draw(st.integers(0, len(self.held) - 1))
            pixels, _ = self.held[place]
            if pixels.flags.writeable:
                self.held[place] = pixels, noise(self.draw(pixels))

    @rule(data=st.data())
    def drop_a_kept_array(self, data: st.DataObject) -> None:
        if self.held:
            del self.held[data.draw(st.integers(0, len(self.held) - 1))]

    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        if self.needed:
            del self.needed[data.draw(st.integers(0, len(self.needed) - 1))]
        needed = {decode(each).frame for each, _ in self.needed if is_reference(each)}
        needed |= {decode(each).frame for each in self.codec.retained_frames()}
        self.codec.release_except(sorted(needed), self.writer._last_frame)

    @invariant()
    def nothing_is_torn(self) -> None:
        for payload, pixels in self.needed:
            assert np.array_equal(seen(self.codec, payload), pixels)
        for pixels, there in self.held:
            assert np.array_equal(pixels, there)
        assert total_size(self.folder) <= LIMIT

    def teardown(self) -> None:
        self.writer.close()


@pytest.mark.slow
def test_whatever_a_stage_does_no_frame_is_torn(tmp_path):
    """Neither frames that were sent and are needed, nor arrays that the stage keeps."""
    Stage.folder = tmp_path
    run_state_machine_as_test(
        Stage, settings=settings(max_examples=60, stateful_step_count=40, deadline=None)
    )
