# SPDX-License-Identifier: Apache-2.0
"""Frames in blocks of shared memory are read in place, never mixed up, and kept within a limit."""

from __future__ import annotations

import os
import stat
import tempfile
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from sensor_msgs.msg import Image
from support.random_frames import frame

from worker_pipeline.frames import blocks as frame_blocks
from worker_pipeline.frames.blocks import (
    DATA_OFFSET,
    evict_free_block,
    mark_free,
    remove_block,
    total_size,
)
from worker_pipeline.frames.reader import FrameGoneError, FrameReader
from worker_pipeline.frames.writer import MAX_FREE_BLOCKS, FrameWriter, NoRoomError

LIMIT = 64 << 20


@pytest.fixture
def reader(tmp_path: Path):
    made = FrameReader(tmp_path)
    yield made
    made.close()


def test_a_frame_is_read_in_place(writer, reader, tmp_path):
    """Readers cannot change it, and other users cannot read it."""
    number, block = writer.write(memoryview(frame(1)))
    view = reader.read(block, number, 100_000)
    assert bytes(view) == frame(1)
    assert not view.flags.writeable
    assert stat.S_IMODE((tmp_path / block).stat().st_mode) == 0o600
    assert view.ctypes.data % 64 == 0


def test_a_block_is_reused_only_after_its_frame_is_released(writer):
    """Fresh memory costs more than the copy."""
    first, block = writer.write(memoryview(frame(1)))
    _, other = writer.write(memoryview(frame(2)))
    assert other != block
    writer.release(first)
    assert writer.write(memoryview(frame(3)))[1] == block


def test_a_late_reader_gets_an_error_and_never_other_pixels(writer, reader):
    """Whether the block was reused or removed."""
    number, block = writer.write(memoryview(frame(1)))
    reader.read(block, number, 100_000)
    writer.release(number)
    writer.write(memoryview(frame(2)))
    with pytest.raises(FrameGoneError, match='its block was reused'):
        reader.read(block, number, 100_000)
    with pytest.raises(FrameGoneError, match='cannot be opened'):
        reader.read('7.99', 1, 1)


def test_a_block_of_length_0_holds_no_frame(reader, tmp_path):
    """Somebody has truncated it; mapping it raises ValueError."""
    (tmp_path / '7.1').touch()
    with pytest.raises(FrameGoneError, match=r'7\.1: cannot be mapped'):
        reader.read('7.1', 1, 1)


@pytest.mark.parametrize('way', ['file', 'folder'])
def test_frames_whose_files_are_removed_are_written_again(writer, reader, tmp_path, way):
    """Who has mapped the former file goes on; others find the frame in the new one."""
    number, block = writer.write(memoryview(frame(1)))
    view = reader.read(block, number, 100_000)
    if way == 'file':
        (tmp_path / block).unlink()
    else:
        tmp_path.rename(tmp_path.with_name(f'{tmp_path.name}.elsewhere'))
        writer.restore_missing()  # cannot yet
        tmp_path.mkdir()
    with pytest.raises(FrameGoneError):
        FrameReader(tmp_path).read(block, number, 100_000)
    writer.restore_missing()
    assert [each.name for each in tmp_path.iterdir()] == [block]
    other = FrameReader(tmp_path)
    assert bytes(other.read(block, number, 100_000)) == frame(1)
    inode = (tmp_path / block).stat().st_ino
    writer.restore_missing()
    assert (tmp_path / block).stat().st_ino == inode, 'once'
    assert bytes(view) == frame(1)
    writer.release(number)
    following, same = writer.write(memoryview(frame(2)))
    assert same == block
    # It still has the former file mapped.
    assert bytes(reader.read(block, following, 100_000)) == frame(2)
    assert bytes(view) == frame(1)


def test_a_block_that_was_freed_and_evicted_is_not_written_again(writer, tmp_path):
    """The manager frees frames, and others evict them, before their producer is told."""
    number, block = writer.write(memoryview(frame(1)))
    mark_free(str(tmp_path / block), number)
    assert evict_free_block(tmp_path)
    writer.restore_missing()
    assert [*tmp_path.iterdir()] == []


def test_a_reader_waits_for_a_missing_block(writer, tmp_path):
    """Its producer looks once in each period of its heartbeats."""
    number, block = writer.write(memoryview(frame(1)))
    (tmp_path / block).unlink()
    timer = threading.Timer(0.05, writer.restore_missing)
    timer.start()
    assert bytes(FrameReader(tmp_path, 30.0).read(block, number, 100_000)) == frame(1)
    timer.join()


def test_a_reader_does_not_wait_for_ever(tmp_path):
    """The producer may be dead, and its frame lost with it."""
    with pytest.raises(FrameGoneError, match='cannot be opened'):
        FrameReader(tmp_path, 0.03).read('7.1', 1, 1)


def test_releasing_a_frame_twice_does_not_release_its_successor(writer, reader):
    """The block of the old frame holds a newer one by then."""
    first, _ = writer.write(memoryview(frame(1)))
    writer.release(first)
    second, block = writer.write(memoryview(frame(2)))
    writer.release(first)
    third, other = writer.write(memoryview(frame(3)))
    assert other != block
    assert bytes(reader.read(block, second, 100_000)) == frame(2)
    assert bytes(reader.read(other, third, 100_000)) == frame(3)


def test_the_limit_is_enforced_and_free_blocks_make_room(tmp_path, writer):
    """Writing fails until a frame is released; free blocks of other sizes are evicted."""
    small = [writer.write(memoryview(frame(1)))[0] for _ in range(MAX_FREE_BLOCKS)]
    for each in small:
        writer.release(each)
    half = memoryview(bytes(LIMIT // 2 - DATA_OFFSET))
    first, _ = writer.write(half)
    writer.write(half)
    assert total_size(tmp_path) == LIMIT
    with pytest.raises(NoRoomError, match=r'found 67 MB of frames; allowed: 67\.1'):
        writer.write(half)
    writer.release(first)
    writer.write(half)
    assert sum(each.stat().st_size for each in tmp_path.iterdir()) == LIMIT


@pytest.mark.slow
def test_the_limit_applies_to_all_writers_together(tmp_path, writer):
    """Blocks of any writer count."""
    half = memoryview(bytes(LIMIT // 2 - DATA_OFFSET))
    other = FrameWriter(tmp_path, '8.', LIMIT)
    other.write(half)
    number, _ = other.write(half)
    with pytest.raises(NoRoomError):
        writer.write(half)
    other.release(number)
    other.close()
    writer.write(half)


@pytest.mark.slow
def test_free_blocks_of_other_writers_are_evicted(tmp_path, writer):
    """An idle writer blocks no other; blocks with frames are left alone."""
    half = memoryview(bytes(LIMIT // 2 - DATA_OFFSET))
    other = FrameWriter(tmp_path, '8.', LIMIT)
    needed, block = other.write(half)
    free, taken = other.write(half)
    other.release(free)
    own, _ = writer.write(half)
    assert {each.name for each in tmp_path.iterdir()} == {block, '7.1'}
    with pytest.raises(NoRoomError):
        other.write(half)
    writer.release(own)
    number, fresh = other.write(half)
    assert (fresh == taken, number > needed) == (False, True)
    other.close()


@pytest.mark.slow
def test_a_block_that_is_being_written_is_not_evicted(tmp_path, writer):
    """Its writer holds the lock, until it dies."""
    all_there_is = memoryview(bytes(LIMIT - DATA_OFFSET))
    other = FrameWriter(tmp_path, '8.', LIMIT)
    number, _ = other.write(all_there_is)
    other.release(number)
    assert other._free[0].try_lock()
    with pytest.raises(NoRoomError):
        writer.write(all_there_is)
    other._free.pop().close()
    writer.write(all_there_is)


def test_two_writers_at_once_do_not_exceed_the_limit(tmp_path, writer, monkeypatch):
    """Each reserves its block before it allocates the memory."""
    most = memoryview(bytes(LIMIT * 2 // 3))
    other = FrameWriter(tmp_path, '8.', LIMIT)
    allocate, allocated = os.posix_fallocate, []

    def meanwhile(file, offset, length):
        monkeypatch.setattr(os, 'posix_fallocate', allocate)
        with pytest.raises(NoRoomError):
            other.write(most)
        allocated.append(length)
        allocate(file, offset, length)

    monkeypatch.setattr(os, 'posix_fallocate', meanwhile)
    writer.write(most)
    assert allocated
    assert total_size(tmp_path) <= LIMIT


def test_memory_is_freed_even_if_a_reader_has_it_mapped():
    """A later read of the frame fails."""
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


def test_only_a_few_free_blocks_are_kept(tmp_path, writer):
    """The memory of a burst is freed."""
    numbers = [writer.write(memoryview(frame(1)))[0] for _ in range(12)]
    writer.release_except({numbers[0]}, numbers[-2])
    # One is in use, one is newer than the last number given.
    assert len(list(tmp_path.iterdir())) == MAX_FREE_BLOCKS + 2


def test_a_missing_folder_raises_no_room_error(tmp_path):
    """The frame is sent by socket then."""
    nowhere = FrameWriter(tmp_path / 'none', '7.', LIMIT)
    with pytest.raises(NoRoomError):
        nowhere.write(memoryview(b'x'))


@pytest.mark.parametrize(
    ('total', 'wanted', 'allowed', 'reason'),
    [
        (1000, 500, 500, ''),
        (64_000_000, 256_000_000, 32_000_000, 'half of the 64 MB where '),
        (64_000_000, 0, 0, ''),
    ],
)
def test_at_most_half_of_a_small_memory_is_used(
    monkeypatch, tmp_path, total, wanted, allowed, reason
):
    """As in a container with the default of 64 MB."""
    monkeypatch.setattr(frame_blocks, 'SHARED_MEMORY', tmp_path)
    usage = SimpleNamespace(total=total)
    monkeypatch.setattr(frame_blocks.shutil, 'disk_usage', lambda _: usage)
    found, why = frame_blocks.frame_memory_limit(tmp_path / 'frames', wanted)
    assert found == allowed
    assert why.startswith(reason)
    assert bool(why) == bool(reason)


def test_a_folder_on_disk_gets_no_frames(monkeypatch, tmp_path):
    """The disk would be written continuously."""
    monkeypatch.setattr(frame_blocks, 'SHARED_MEMORY', tmp_path / 'elsewhere')
    assert frame_blocks.frame_memory_limit(tmp_path, 10**6)[0] == 0
    # As in XDG_RUNTIME_DIR.
    assert frame_blocks.frame_memory_limit(tmp_path, 10**6, is_in_memory=True)[0] == 10**6


def test_readers_can_open_a_block_whatever_umask_a_stage_has_set(tmp_path, codec):
    umask = os.umask(0o777)
    try:
        codec.serialize(Image(data=bytes(100_000)))
    finally:
        os.umask(umask)
    (block,) = tmp_path.iterdir()
    assert stat.S_IMODE(block.stat().st_mode) == 0o600
