"""Memory that is lent to a stage: what is made there goes without a copy, and is never torn."""

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

from worker_pipeline.airside.image import from_message, to_message
from worker_pipeline.runtime.frame_blocks import size_of
from worker_pipeline.runtime.frame_messages import FrameMessages
from worker_pipeline.runtime.frame_reader import FrameReader
from worker_pipeline.runtime.frame_reference import LEAST, decode, is_reference
from worker_pipeline.runtime.frame_writer import FrameWriter, address_of

LIMIT = 4 << 20
SHAPE = (120, 200, 3)


def draw(messages: FrameMessages, seed: int, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    """Borrowed pixels with noise in them."""
    pixels = messages.lend(shape, np.uint8)
    pixels[:] = noise(seed, shape)
    return pixels


def noise(seed: int, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def seen(messages: FrameMessages, payload: bytes) -> np.ndarray:
    """What whoever is given it sees."""
    return from_message(messages.deserialize(payload))


def test_what_is_drawn_there_is_a_frame_without_a_copy(messages, writer):
    """It is read from the very memory that it was written to."""
    pixels = draw(messages, 1)
    place = address_of(pixels)
    message = to_message(pixels, 'camera')
    del pixels
    payload = messages.serialize(message)
    del message
    assert is_reference(payload)
    assert np.array_equal(seen(messages, payload), noise(1))
    assert address_of(writer._used[decode(payload).frame].array(1)) == place


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
def test_what_a_stage_keeps_it_may_write_to(messages, hold):
    """Those who read have another copy; and the message that was sent keeps what it had."""
    pixels = draw(messages, 1)
    message = to_message(pixels, 'camera')
    held = (
        np.frombuffer(hold(pixels, message), np.uint8)
        if hold is HOLDS['a buffer']
        else hold(pixels, message)
    )
    place = address_of(pixels)
    del pixels
    payload = messages.serialize(message)
    assert np.array_equal(from_message(message), noise(1))
    look = seen(messages, payload)
    assert address_of(look) != place
    np.asarray(held)[...] = 0
    assert np.array_equal(look, noise(1))
    del held, message
    assert np.array_equal(draw(messages, 2), noise(2))
    assert np.array_equal(look, noise(1))


def test_a_message_that_is_kept_is_looked_at(messages):
    """As one that was given is: nobody writes there, and its frame is not written over."""
    message = to_message(draw(messages, 1), 'camera')
    payload = messages.serialize(message)
    assert messages.looked_at() == [payload]
    assert not from_message(message).flags.writeable
    assert np.array_equal(from_message(message), noise(1))
    del message
    assert messages.looked_at() == []


def test_a_message_that_is_given_out_once_more_is_the_same_frame(messages):
    """It is there already."""
    message = to_message(draw(messages, 1), 'camera')
    first = messages.serialize(message)
    message.header.stamp.sec = 5
    second = messages.serialize(message)
    assert decode(second).frame == decode(first).frame
    assert messages.deserialize(second).header.stamp.sec == 5


def test_what_is_not_used_is_lent_again(messages, tmp_path):
    """A stage that fails, or answers nothing, takes no memory with it."""
    places = set()
    for seed in range(20):
        pixels = draw(messages, seed)
        places.add(address_of(pixels))
        del pixels
    assert len(places) == 1
    used = size_of(tmp_path)
    kept = [draw(messages, seed) for seed in range(6)]
    assert size_of(tmp_path) == 6 * used
    for seed, pixels in enumerate(kept):
        assert np.array_equal(pixels, noise(seed))


def test_another_producer_takes_no_memory_that_is_lent(messages, tmp_path):
    """Though there is no frame in it, and no more room."""
    pixels = draw(messages, 1)
    other = FrameWriter(tmp_path, '8.', size_of(tmp_path))
    with pytest.raises(Exception, match='MB of frames; allowed'):
        other.write(memoryview(bytes(pixels.nbytes)))
    assert np.array_equal(pixels, noise(1))
    del pixels
    draw(messages, 2)  # whose memory is lent no more, when it is looked for
    messages.lend(SHAPE, np.uint8)


def test_of_scarce_memory_none_is_lent(messages, tmp_path, told):
    """What is left of it is for frames that are due; who borrows has ordinary memory."""
    payloads = [messages.serialize(to_message(noise(seed, (600, 600, 3)), '')) for seed in range(2)]
    used = size_of(tmp_path)
    pixels = draw(messages, 9)
    assert size_of(tmp_path) == used
    payload = messages.serialize(to_message(pixels, 'camera'))
    assert size_of(tmp_path) > used
    assert np.array_equal(seen(messages, payload), noise(9))
    assert all(map(is_reference, [*payloads, payload]))
    assert not told


def test_free_blocks_of_its_own_are_not_scarce(messages, tmp_path):
    """A camera in little memory borrows the block again that it had before."""
    for seed in range(2):
        messages.serialize(to_message(noise(seed, (600, 600, 3)), ''))
    used = size_of(tmp_path)
    messages.release([1, 2])
    kept = messages.lend((600, 600, 3), np.uint8)
    assert size_of(tmp_path) == used
    payload = messages.serialize(to_message(kept, ''))  # a copy, as it is kept
    messages.release([decode(payload).frame])
    message = to_message(kept, '')
    del kept
    assert decode(messages.serialize(message)).block != decode(payload).block


def test_without_shared_memory_it_is_ordinary_memory(tmp_path, told):
    """As it is of little, and of what no frame can be made of."""
    reader = FrameReader(tmp_path)
    without = FrameMessages(Image, Image, None, reader, told.append)
    payload = without.serialize(to_message(draw(without, 1), 'camera'))
    assert not is_reference(payload)
    assert np.array_equal(from_message(without.deserialize(payload)), noise(1))
    writer = FrameWriter(tmp_path, '7.', LIMIT)
    small = FrameMessages(Image, Image, writer, reader, told.append)
    headers = FrameMessages(Header, Header, writer, reader, told.append)
    kept = [small.lend((10, 10, 3), np.uint8), headers.lend(SHAPE, np.uint8)]
    assert [each.shape for each in kept] == [(10, 10, 3), SHAPE]
    assert size_of(tmp_path) == 0


def test_of_what_was_borrowed_only_the_beginning_may_be_given_out(tmp_path, writer, told):
    """A compressed image is as large as it comes out."""
    messages = FrameMessages(CompressedImage, CompressedImage, writer, FrameReader(tmp_path), told)
    room = messages.lend(2 * LEAST, np.uint8)
    room[: LEAST + 5] = noise(1, (LEAST + 5,))
    place = address_of(room)
    message = CompressedImage(format='jpeg')
    message.data = room[: LEAST + 5]
    del room
    payload = messages.serialize(message)
    look = np.frombuffer(messages.deserialize(payload).data, np.uint8)
    assert np.array_equal(look, noise(1, (LEAST + 5,)))
    assert address_of(writer._used[decode(payload).frame].array(1)) == place


def test_what_begins_elsewhere_is_copied(messages):
    """A picture without its first rows."""
    pixels = draw(messages, 1)
    message = to_message(pixels[10:], 'camera')
    del pixels
    payload = messages.serialize(message)
    assert np.array_equal(seen(messages, payload), noise(1)[10:])


def test_elements_may_be_of_any_kind(tmp_path, writer, told):
    """A cloud of points is an array of records."""
    messages = FrameMessages(PointCloud2, PointCloud2, writer, FrameReader(tmp_path), told.append)
    point = np.dtype([('x', '<f4'), ('y', '<f4'), ('label', '<u2')])
    points = messages.lend(LEAST, point)
    points['x'], points['y'], points['label'] = 1.5, -2.0, np.arange(LEAST) % 1000
    place = address_of(points)
    message = PointCloud2(is_dense=True, width=len(points), height=1, point_step=point.itemsize)
    message.data = points.view(np.uint8)
    del points
    payload = messages.serialize(message)
    assert address_of(writer._used[decode(payload).frame].array(1)) == place
    given = np.frombuffer(messages.deserialize(payload).data, point)
    assert given['label'][999] == 999
    assert (given['x'] == 1.5).all()


class Stage(RuleBasedStateMachine):
    """A stage that does what it likes with what it borrows, makes and has made.

    The frames of its messages are released as the manager does: when no item needs them, and none
    is looked at.
    """

    drawn, sent = Bundle('drawn'), Bundle('sent')
    folder: Path

    def __init__(self) -> None:
        super().__init__()
        for path in self.folder.iterdir():
            path.unlink()
        self.writer = FrameWriter(self.folder, '7.', LIMIT)
        self.messages = FrameMessages(Image, Image, self.writer, FrameReader(self.folder), print)
        self.needed: dict[bytes, np.ndarray] = {}  # payloads, and what was sent
        self.held: list[tuple[np.ndarray, np.ndarray]] = []  # and what should be in it
        self.seed = 0

    def draw(self, pixels: np.ndarray) -> int:
        self.seed += 1
        pixels[:] = noise(self.seed)
        return self.seed

    @rule(target=drawn, borrows=st.booleans())
    def make(self, borrows: bool) -> tuple[list[np.ndarray], int]:
        pixels = self.messages.lend(SHAPE, np.uint8) if borrows else np.empty(SHAPE, np.uint8)
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
        self.needed[self.messages.serialize(message)] = pixels

    @rule(messages=sent)
    def send_again(self, messages: list[Image]) -> None:
        for message in messages:
            self.serialize(message)

    @rule(messages=consumes(sent))
    def drop(self, messages: list[Image]) -> None:
        messages.clear()

    @rule(data=st.data())
    def write_to_what_is_held(self, data: st.DataObject) -> None:
        if self.held:
            place = data.draw(st.integers(0, len(self.held) - 1))
            pixels, _ = self.held[place]
            if pixels.flags.writeable:
                self.held[place] = pixels, noise(self.draw(pixels))

    @rule(data=st.data())
    def let_go_of_what_is_held(self, data: st.DataObject) -> None:
        if self.held:
            del self.held[data.draw(st.integers(0, len(self.held) - 1))]

    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        if self.needed:
            del self.needed[data.draw(st.sampled_from(sorted(self.needed)))]
        needed = {decode(each).frame for each in self.needed if is_reference(each)}
        needed |= {decode(each).frame for each in self.messages.looked_at()}
        self.messages.release_all_but(sorted(needed), self.writer._frames)

    @invariant()
    def nothing_is_torn(self) -> None:
        for payload, pixels in self.needed.items():
            assert np.array_equal(seen(self.messages, payload), pixels)
        for pixels, there in self.held:
            assert np.array_equal(pixels, there)
        assert size_of(self.folder) <= LIMIT

    def teardown(self) -> None:
        self.writer.close()


def test_whatever_a_stage_does_nothing_is_torn(tmp_path):
    """Of what was sent, and is needed; and of what it holds itself."""
    Stage.folder = tmp_path
    run_state_machine_as_test(
        Stage, settings=settings(max_examples=60, stateful_step_count=40, deadline=None)
    )
