"""Frames in shared memory: written once, read in place, never another's."""

from __future__ import annotations

import array
import gc
import os
import stat
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from geometry_msgs.msg import PointStamped
from hypothesis import given
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CompressedImage, Image, PointCloud2
from std_msgs.msg import UInt8MultiArray

from worker_pipeline.runtime import frame_blocks
from worker_pipeline.runtime.frame_blocks import OFFSET, remove_block, room_for, size_of
from worker_pipeline.runtime.frame_keeper import FrameKeeper, Kept
from worker_pipeline.runtime.frame_reader import FrameGoneError, FrameReader
from worker_pipeline.runtime.frame_reference import (
    Reference,
    bytes_after,
    decode,
    encode,
    is_reference,
    whole,
)
from worker_pipeline.runtime.frame_writer import KEPT_FREE, FrameWriter, NoRoomError

LIMIT = 64 << 20


@pytest.fixture
def reader(tmp_path: Path):
    made = FrameReader(tmp_path)
    yield made
    made.close()


def frame(seed: int, size: int = 100_000) -> bytes:
    return np.random.default_rng(seed).integers(0, 256, size, np.uint8).tobytes()


# -- references ------------------------------------------------------------------------------------


@given(
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**32 - 1),
    st.text('0123456789.', max_size=40),
    st.binary(max_size=300),
)
def test_a_reference_says_what_it_was_told(number, size, position, block, rest):
    """And is known from a serialised message by its beginning."""
    reference = Reference(number, size, position, block, rest)
    assert decode(encode(reference)) == reference
    assert is_reference(encode(reference))


def test_no_serialised_message_is_taken_for_a_reference():
    """They begin with a zero."""
    assert not is_reference(serialize_message(Image()))
    assert not is_reference(b'')


@pytest.mark.parametrize(
    ('kind', 'after'),
    [(Image, 0), (CompressedImage, 0), (PointCloud2, 1), (PointStamped, None)],
    ids=lambda each: getattr(each, '__name__', each),
)
def test_which_messages_have_bytes_that_can_be_taken_out(kind, after):
    """A field of bytes, and nothing behind it that they move."""
    assert bytes_after(kind) == after


def test_bytes_with_another_field_before_them_can_be_taken_out():
    """As long as nothing follows them that is aligned."""
    assert bytes_after(UInt8MultiArray) == 0


@pytest.mark.parametrize('kind', [Image, CompressedImage, PointCloud2])
@pytest.mark.parametrize('size', [1, 2, 3, 4, 5, 1000])
def test_a_message_is_whole_again(kind, size):
    """As long as it would have been, and the same; what pads it may be anything."""
    data = frame(1, size)
    full, empty = kind(), kind()
    full.header.frame_id = empty.header.frame_id = 'cam'
    full.data = array.array('B', data)
    rest = serialize_message(empty)
    position = len(rest) - 4 - bytes_after(kind)
    made = whole(Reference(1, size, position, '', rest), data)
    assert deserialize_message(made, kind) == full
    assert len(made) == len(serialize_message(full))


# -- blocks ----------------------------------------------------------------------------------------


def test_a_frame_is_read_where_it_was_written(writer, reader, tmp_path):
    """Nobody else may read it, and nobody may change it."""
    number, block = writer.write(memoryview(frame(1)))
    view = reader.read(block, number, 100_000)
    assert bytes(view) == frame(1)
    assert not view.flags.writeable
    assert stat.S_IMODE((tmp_path / block).stat().st_mode) == 0o600
    assert view.ctypes.data % 64 == 0


def test_a_block_is_used_again_when_its_frame_is_released_and_not_before(writer):
    """Fresh memory costs more than the copy."""
    first, block = writer.write(memoryview(frame(1)))
    _, other = writer.write(memoryview(frame(2)))
    assert other != block
    writer.release(first)
    assert writer.write(memoryview(frame(3)))[1] == block


def test_who_comes_too_late_is_told_and_not_given_other_pixels(writer, reader):
    """Neither when another frame is there, nor when the block is gone."""
    number, block = writer.write(memoryview(frame(1)))
    reader.read(block, number, 100_000)
    writer.release(number)
    writer.write(memoryview(frame(2)))
    with pytest.raises(FrameGoneError, match='another one is in its place'):
        reader.read(block, number, 100_000)
    with pytest.raises(FrameGoneError, match='is gone'):
        reader.read('7.99', 1, 1)


def test_released_twice_it_is_not_somebody_elses(writer, reader):
    """A second word for an old frame does no harm to the one that has its block now."""
    first, _ = writer.write(memoryview(frame(1)))
    writer.release(first)
    second, block = writer.write(memoryview(frame(2)))
    writer.release(first)
    third, other = writer.write(memoryview(frame(3)))
    assert other != block
    assert bytes(reader.read(block, second, 100_000)) == frame(2)
    assert bytes(reader.read(other, third, 100_000)) == frame(3)


def test_there_is_a_limit_and_what_is_not_needed_makes_room(tmp_path, writer):
    """More is refused, until something is released; free blocks of another size give way."""
    small = [writer.write(memoryview(frame(1)))[0] for _ in range(KEPT_FREE)]
    for each in small:
        writer.release(each)
    half = memoryview(bytes(LIMIT // 2 - OFFSET))
    first, _ = writer.write(half)
    writer.write(half)
    assert size_of(tmp_path) == LIMIT
    with pytest.raises(NoRoomError, match=r'found 67 MB of frames; allowed: 67\.1'):
        writer.write(half)
    writer.release(first)
    writer.write(half)
    assert sum(each.stat().st_size for each in tmp_path.iterdir()) == LIMIT


def test_the_limit_holds_for_all_producers_together(tmp_path, writer):
    """Whoever has it, it is used."""
    half = memoryview(bytes(LIMIT // 2 - OFFSET))
    other = FrameWriter(tmp_path, '8.', LIMIT)
    other.write(half)
    number, _ = other.write(half)
    with pytest.raises(NoRoomError):
        writer.write(half)
    other.release(number)
    other.close()
    writer.write(half)


def test_what_nobody_needs_gives_way_whosever_it_is(tmp_path, writer):
    """A producer that has nothing to do holds up nobody; what is needed is left alone."""
    half = memoryview(bytes(LIMIT // 2 - OFFSET))
    other = FrameWriter(tmp_path, '8.', LIMIT)
    needed, block = other.write(half)
    free, taken = other.write(half)
    other.release(free)
    ours, _ = writer.write(half)
    assert {each.name for each in tmp_path.iterdir()} == {block, '7.1'}
    with pytest.raises(NoRoomError):
        other.write(half)
    writer.release(ours)
    number, fresh = other.write(half)
    assert (fresh == taken, number > needed) == (False, True)
    other.close()


def test_a_block_that_is_about_to_be_written_does_not_give_way(tmp_path, writer):
    """Its owner holds it; and when he is dead it gives way."""
    all_there_is = memoryview(bytes(LIMIT - OFFSET))
    other = FrameWriter(tmp_path, '8.', LIMIT)
    number, _ = other.write(all_there_is)
    other.release(number)
    assert other._free[0].claim()
    with pytest.raises(NoRoomError):
        writer.write(all_there_is)
    other._free.pop().close()
    writer.write(all_there_is)


def test_two_that_make_blocks_at_once_do_not_have_too_much_together(tmp_path, writer, monkeypatch):
    """Room is reserved before it is taken."""
    most = memoryview(bytes(LIMIT * 2 // 3))
    other = FrameWriter(tmp_path, '8.', LIMIT)
    allocate, told = os.posix_fallocate, []

    def meanwhile(file, offset, length):
        monkeypatch.setattr(os, 'posix_fallocate', allocate)
        with pytest.raises(NoRoomError):
            other.write(most)
        told.append(length)
        allocate(file, offset, length)

    monkeypatch.setattr(os, 'posix_fallocate', meanwhile)
    writer.write(most)
    assert told
    assert size_of(tmp_path) <= LIMIT


def test_memory_is_given_back_though_somebody_has_it_mapped():
    """Who looks for the frame later finds that it is gone."""
    with tempfile.TemporaryDirectory(dir='/dev/shm') as folder:
        path = Path(folder)
        reader = FrameReader(path)
        number, block = FrameWriter(path, '7.', LIMIT).write(memoryview(frame(1)))
        reader.read(block, number, 100_000)
        with (path / block).open('rb') as file:
            assert os.fstat(file.fileno()).st_blocks * 512 >= 100_000
            remove_block(path / block)
            assert os.fstat(file.fileno()).st_blocks == 0
        with pytest.raises(FrameGoneError):
            reader.read(block, number, 100_000)
        remove_block(path / block)
        reader.close()


def test_few_free_blocks_are_kept(tmp_path, writer):
    """What a burst took is given back."""
    numbers = [writer.write(memoryview(frame(1)))[0] for _ in range(12)]
    writer.release_all_but({numbers[0]}, numbers[-2])
    # One is needed, one is younger than what was said.
    assert len(list(tmp_path.iterdir())) == KEPT_FREE + 2


def test_without_room_it_is_told(tmp_path):
    """As where there is no such folder."""
    nowhere = FrameWriter(tmp_path / 'none', '7.', LIMIT)
    with pytest.raises(NoRoomError):
        nowhere.write(memoryview(b'x'))


# -- the keeper ------------------------------------------------------------------------------------


def reference_to(number: int, block: str, size: int = 100_000) -> bytes:
    return encode(Reference(number, size, 0, block, b'\0\1\0\0\0\0\0\0'))


def test_a_frame_is_released_when_the_last_reference_to_it_is_gone(tmp_path):
    """However many ledgers had it, and whoever said it twice."""
    keeper, told = FrameKeeper(tmp_path, LIMIT), []
    keeper.joined(7, told.append)
    one = keeper.keep(reference_to(1, '7.1'))
    ledgers = [[one], [one], [keeper.keep(reference_to(1, '7.1'))]]
    assert isinstance(one, Kept)
    assert one == reference_to(1, '7.1')
    assert keeper.in_use == room_for(100_000)
    del one
    while ledgers:
        gc.disable()  # by counting references alone
        keeper.settle()
        assert told == []
        ledgers.pop().clear()
    gc.enable()
    keeper.settle()
    keeper.settle()
    assert told == [[1]]
    assert keeper.in_use == 0


def test_a_released_frame_gives_way_before_its_owner_hears_of_it(tmp_path, writer):
    """He may be busy; and an older frame's end is none of the one that is there now."""
    all_there_is = memoryview(bytes(LIMIT - OFFSET))
    keeper, other = FrameKeeper(tmp_path, LIMIT), FrameWriter(tmp_path, '8.', LIMIT)
    keeper.joined(8, lambda _: None)
    for number in (1, 2):
        assert other.write(all_there_is) == (number, '8.1')
        keeper.keep(reference_to(1, '8.1'))
        keeper.settle()
        if number == 1:
            other.release(1)
    with pytest.raises(NoRoomError):
        writer.write(all_there_is)
    keeper.keep(reference_to(2, '8.1'))
    keeper.settle()
    writer.write(all_there_is)
    other.release(2)
    with pytest.raises(NoRoomError):
        other.write(all_there_is)


def test_an_ordinary_payload_is_what_it_was(tmp_path):
    """It has no frame."""
    payload = serialize_message(PointStamped())
    assert FrameKeeper(tmp_path, LIMIT).keep(payload) is payload


def test_a_dead_producers_blocks_stay_as_long_as_they_are_needed(tmp_path):
    """The others go at once, those of the living are left alone."""
    for name in ('7.1', '7.2', '8.1'):
        (tmp_path / name).touch()
    keeper = FrameKeeper(tmp_path, LIMIT)
    keeper.joined(7, print)
    keeper.joined(8, print)
    kept = keeper.keep(reference_to(1, '7.1'))
    keeper.gone(7)
    assert {each.name for each in tmp_path.iterdir()} == {'7.1', '8.1'}
    del kept
    keeper.settle()
    assert {each.name for each in tmp_path.iterdir()} == {'8.1'}


def test_a_dead_producers_block_stays_for_the_frame_that_is_in_it_now(tmp_path):
    """A journal tells of all that were ever in it; it goes with the last that is needed."""
    (tmp_path / '7.1').touch()
    keeper = FrameKeeper(tmp_path, LIMIT)
    ledger = [keeper.keep(reference_to(number, '7.1')) for number in (1, 2, 3)]
    keeper.sweep(set())
    assert keeper.in_use == room_for(100_000)
    del ledger[:2]
    keeper.settle()
    assert (tmp_path / '7.1').exists()
    assert keeper.in_use == room_for(100_000)
    ledger.clear()
    keeper.settle()
    assert not (tmp_path / '7.1').exists()
    assert keeper.in_use == 0


def test_another_manager_knows_what_is_needed_and_sweeps_the_rest(tmp_path):
    """What a producer is told to keep is what the restored ledgers have."""
    for name in ('7.1', '7.2', '9.1', '9.2'):
        (tmp_path / name).touch()
    keeper, told = FrameKeeper(tmp_path, LIMIT), []
    ledger = [keeper.keep(reference_to(number, f'{pid}.1')) for pid, number in ((7, 5), (9, 3))]
    keeper.sweep({7})
    assert {each.name for each in tmp_path.iterdir()} == {'7.1', '7.2', '9.1'}
    assert keeper.joined(7, told.append) == {5}
    ledger.clear()
    keeper.settle()
    assert told == [[5]]
    assert {each.name for each in tmp_path.iterdir()} == {'7.1', '7.2'}


def test_the_whole_message_is_there_for_those_who_need_it(tmp_path, writer):
    """A listener outside, or the quarantine."""
    message = Image(height=1, width=100_000, step=100_000)
    rest = serialize_message(message)
    message.data = array.array('B', frame(4))
    number, block = writer.write(memoryview(message.data))
    payload = encode(Reference(number, 100_000, len(rest) - 4, block, rest))
    keeper = FrameKeeper(tmp_path, LIMIT)
    assert deserialize_message(keeper.whole(keeper.keep(payload)), Image) == message
    assert keeper.whole(rest) is rest


def test_what_a_stage_keeps_for_itself_is_in_use_and_not_needed_for_items(tmp_path):
    """So that nobody waits for it to be let go of."""
    keeper = FrameKeeper(tmp_path, LIMIT)
    ledger = [keeper.keep(reference_to(1, '7.1')), keeper.keep(reference_to(2, '7.2'))]
    room = room_for(100_000)
    keeper.look('check/worker_0', [reference_to(1, '7.1')])
    keeper.look('check/worker_1', [reference_to(1, '7.1')])
    assert (keeper.in_use, keeper.needed) == (2 * room, 2 * room)
    del ledger[0]
    keeper.settle()
    assert (keeper.in_use, keeper.needed) == (2 * room, room)
    keeper.look('check/worker_0', [])
    keeper.look('check/worker_1', [])
    keeper.settle()
    assert (keeper.in_use, keeper.needed) == (room, room)


@pytest.mark.parametrize(
    ('total', 'wanted', 'allowed', 'why'),
    [
        (1000, 500, 500, ''),
        (64_000_000, 256_000_000, 32_000_000, 'half of the 64 MB that '),
        (64_000_000, 0, 0, ''),
    ],
)
def test_of_a_small_memory_no_more_than_half_is_used(
    monkeypatch, tmp_path, total, wanted, allowed, why
):
    """As in a container with the usual 64 MB."""
    monkeypatch.setattr(frame_blocks, 'SHARED_MEMORY', tmp_path)
    usage = SimpleNamespace(total=total)
    monkeypatch.setattr(frame_blocks.shutil, 'disk_usage', lambda _: usage)
    found, told = frame_blocks.allowance(tmp_path / 'frames', wanted)
    assert found == allowed
    assert told.startswith(why)
    assert bool(told) == bool(why)


def test_a_disk_is_no_shared_memory(monkeypatch, tmp_path):
    """It would be written without end."""
    monkeypatch.setattr(frame_blocks, 'SHARED_MEMORY', tmp_path / 'elsewhere')
    assert frame_blocks.allowance(tmp_path, 10**6)[0] == 0
