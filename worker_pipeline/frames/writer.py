# SPDX-License-Identifier: Apache-2.0
"""Writes frames into blocks of shared memory, each frame once.

A stage can also borrow such memory and fill it itself. The result becomes a frame without a copy,
unless the stage has kept an array of it: then it could still write there while others read.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import time
import weakref
from pathlib import Path

import numpy as np
import numpy.typing as npt

from worker_pipeline.frames.blocks import (
    DATA_OFFSET,
    HEADER,
    NO_FRAME,
    block_size,
    evict_free_block,
    remove_block,
    total_size,
)
from worker_pipeline.frames.reference import FrameNumber

# Free blocks that a writer keeps for reuse; it removes the others.
MAX_FREE_BLOCKS = 4
# How long a writer waits for memory, s: about as long as it takes to send a frame by a socket.
SPACE_TIMEOUT = 0.005

Array = npt.NDArray[np.uint8]


class NoRoomError(Exception):
    """There is no memory left for a frame."""


class _Block:
    """A block of this process, locked while a frame is written into it."""

    def __init__(self, path: Path, length: int) -> None:
        """Reserve a block: it counts as used, but takes no memory yet. Raises OSError."""
        self.path = path
        self.length = length
        self._memory: mmap.mmap | None = None
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        os.fchmod(self._file, 0o600)  # whatever umask the stage has set
        # In this order: `evict_free_block` does not remove a file of length 0.
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(self._file, length)

    def allocate(self) -> None:
        """Allocate the memory. Raises OSError if there is too little.

        All of it now: a write to a page that cannot be had would kill the process by SIGBUS.
        """
        os.posix_fallocate(self._file, 0, self.length)
        self._memory = mmap.mmap(self._file, self.length)

    @property
    def capacity(self) -> int:
        return self.length - DATA_OFFSET

    @property
    def memory(self) -> mmap.mmap:
        assert self._memory is not None, 'allocate() comes first'
        return self._memory

    def try_lock(self) -> bool:
        """Lock a free block; return False if another process has evicted it."""
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return os.fstat(self._file).st_nlink > 0
        return False

    def fill(self, data: memoryview) -> None:
        """Write the bytes of a frame."""
        self.memory[DATA_OFFSET : DATA_OFFSET + len(data)] = data

    def seal(self, frame: FrameNumber) -> None:
        """Publish the frame under its number; until then readers find none in the block."""
        HEADER.pack_into(self.memory, 0, frame)
        self._unlock()

    def clear(self) -> None:
        """Mark the block as free."""
        HEADER.pack_into(self.memory, 0, NO_FRAME)

    def abandon(self) -> None:
        """Unlock the block without a frame."""
        self._unlock()

    def writable(self, size: int) -> Array:
        """Return its first ``size`` bytes, to write a frame to."""
        return np.frombuffer(self.memory, np.uint8, size, DATA_OFFSET)

    def read_only(self, size: int) -> Array:
        """Return its first ``size`` bytes, read-only."""
        return np.frombuffer(memoryview(self.memory).toreadonly(), np.uint8, size, DATA_OFFSET)

    def holds(self, frame: FrameNumber) -> bool:
        """Return whether it has the frame still: others free and evict blocks, too."""
        return bool(HEADER.unpack_from(self.memory)[0] == frame)

    def is_in_place(self) -> bool:
        """Return whether readers find the block."""
        try:
            return os.path.samestat(os.fstat(self._file), os.lstat(self.path))
        except OSError:
            return False

    def copy(self) -> _Block:
        """Return a copy in the place of this block, which may be read until it is dropped.

        Raises OSError.
        """
        fresh = _Block(self.path.with_name(f'{self.path.name}.new'), self.length)
        try:
            fresh.allocate()
            fresh.memory[:] = self.memory[:]
            fresh.path.rename(self.path)
        except OSError:
            fresh.remove()
            raise
        fresh.path = self.path
        fresh.abandon()
        os.close(self._file)  # arrays may still use the memory
        return fresh

    def _unlock(self) -> None:
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Unmap the memory and close the file, without removing it."""
        if self._memory is not None:
            self._memory.close()
        os.close(self._file)

    def remove(self) -> None:
        """Remove the block and its file."""
        remove_block(self.path)
        self.close()


class FrameWriter:
    """The blocks of one process.

    Args:
        folder: Where the blocks are created.
        prefix: The beginning of their names, used by no other writer.
        limit: The memory that all writers of the folder may take together, bytes.
    """

    def __init__(self, folder: Path, prefix: str, limit: int) -> None:
        self._folder = folder
        self._prefix = prefix
        self._limit = limit
        self._blocks_created = 0
        self._last_frame = FrameNumber(0)
        self._used: dict[FrameNumber, _Block] = {}
        self._free: list[_Block] = []  # the last one was used last, so it is likely in the cache
        # Loaned blocks by address, until their arrays are found to be garbage-collected.
        self.loans: dict[int, tuple[_Block, weakref.ref[Array]]] = {}

    def write(self, data: memoryview) -> tuple[FrameNumber, str]:
        """Write a frame; return its number and the name of its block. Raises NoRoomError."""
        block = self._acquire(len(data), SPACE_TIMEOUT)
        block.fill(data)
        return self._seal(block)

    def loan(self, size: int) -> Array:
        """Return an uninitialised array of ``size`` bytes in a block, for a stage to fill.

        The block is reclaimed when the array is garbage-collected. Raises NoRoomError if more than
        half of the memory is taken; the rest is for frames that are ready to be written.
        """
        self._reclaim_loans()
        taken = total_size(self._folder) - sum(each.length for each in self._free)
        if 2 * taken > self._limit:
            raise NoRoomError(f'more than half of {self._limit / 1e6:g} MB of frames is taken')
        block = self._acquire(size, 0.0)
        array = block.writable(size)
        self.loans[address_of(array)] = block, weakref.ref(array)
        return array

    def loaned_array(self, address: int) -> Array | None:
        """Return the array loaned at an address; None if it is garbage-collected."""
        return self.loans[address][1]()

    def write_loaned(self, address: int, size: int) -> tuple[FrameNumber, str, Array]:
        """Make a frame of a loaned block after its array is garbage-collected.

        Returns:
            The number of the frame, the name of its block, and its bytes, read-only.
        """
        block, _ = self.loans.pop(address)
        return *self._seal(block), block.read_only(size)

    def _seal(self, block: _Block) -> tuple[FrameNumber, str]:
        self._last_frame = FrameNumber(self._last_frame + 1)
        block.seal(self._last_frame)
        self._used[self._last_frame] = block
        return self._last_frame, block.path.name

    def _reclaim_loans(self) -> None:
        """Free the loaned blocks of garbage-collected arrays."""
        for address, (block, array) in list(self.loans.items()):
            if array() is None:
                del self.loans[address]
                block.abandon()
                self._add_free(block)

    def release(self, frame: FrameNumber) -> None:
        """Free the block of an unreferenced frame; unknown frames are ignored."""
        block = self._used.pop(frame, None)
        if block is None:
            return
        block.clear()
        self._add_free(block)

    def _add_free(self, block: _Block) -> None:
        self._free.append(block)
        while len(self._free) > MAX_FREE_BLOCKS:
            self._free.pop(0).remove()

    def release_except(self, in_use: set[FrameNumber], last: FrameNumber) -> None:
        """Release all frames up to the number ``last`` but those in use."""
        for frame in self._used.keys() - in_use:
            if frame <= last:
                self.release(frame)

    def restore_missing(self) -> None:
        """Write the frames in use again whose files somebody has removed."""
        for frame, block in [*self._used.items()]:
            if block.holds(frame) and not block.is_in_place():
                with contextlib.suppress(OSError):  # no folder or no memory: the next time
                    self._used[frame] = block.copy()

    def _acquire(self, size: int, timeout: float) -> _Block:
        """Return a locked block for a frame; wait up to ``timeout`` seconds for memory."""
        for block in [each for each in reversed(self._free) if size <= each.capacity]:
            self._free.remove(block)
            if block.try_lock():
                return block
            block.close()
        return self._create(block_size(size), timeout)

    def _create(self, length: int, timeout: float) -> _Block:
        self._blocks_created += 1
        try:
            block = _Block(self._folder / f'{self._prefix}{self._blocks_created}', length)
        except OSError as error:
            raise NoRoomError(str(error)) from None
        try:
            self._wait_for_space(length, timeout)
            block.allocate()
        except (OSError, NoRoomError) as error:
            block.remove()
            raise NoRoomError(str(error)) from None
        return block

    def _wait_for_space(self, length: int, timeout: float) -> None:
        """Evict free blocks until a reserved block of ``length`` bytes is within the limit.

        Raises NoRoomError. Blocks that two writers reserve at once count for both, so the limit is
        never exceeded; each finds the other's evictions a moment later.
        """
        deadline = time.monotonic() + timeout
        while (used := total_size(self._folder)) > self._limit:
            if self._free:
                self._free.pop(0).remove()
            elif evict_free_block(self._folder):
                continue
            elif time.monotonic() < deadline:
                time.sleep(SPACE_TIMEOUT / 10)
            else:
                raise NoRoomError(
                    f'found {(used - length) / 1e6:.0f} MB of frames; '
                    f'allowed: {self._limit / 1e6:g} MB'
                )

    def close(self) -> None:
        """Remove the free blocks; the others are removed when their frames are released."""
        self._reclaim_loans()
        while self._free:
            self._free.pop().remove()


def address_of(array: Array) -> int:
    """Return the address of an array's first byte."""
    return int(array.__array_interface__['data'][0])
