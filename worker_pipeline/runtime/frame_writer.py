"""A producer's side of frames: writes them into blocks of shared memory, each once.

Or lends such memory to a stage, which then writes there itself: what it has made there is a frame
without a copy, unless it keeps an array of it, which it could write to when others read.
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

from worker_pipeline.runtime.frame_blocks import (
    HEAD,
    NO_FRAME,
    OFFSET,
    remove_a_free_one,
    remove_block,
    room_for,
    size_of,
)

# Free blocks that a producer keeps; the others are given back to the system.
KEPT_FREE = 4
# How long a producer waits for room, s; as long as it takes to send a frame by a socket.
PATIENCE = 0.005

Array = npt.NDArray[np.uint8]


class NoRoomError(Exception):
    """There is no room for a frame."""


class _Block:
    """One of our own. It is locked while a frame is made in it."""

    def __init__(self, path: Path, length: int) -> None:
        """Reserve it: it counts, and takes no memory yet. Raises OSError."""
        self.path = path
        self.length = length
        self._memory: mmap.mmap | None = None
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        # In this order: nobody takes away what has no length.
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(self._file, length)

    def take_memory(self) -> None:
        """Have room for all of it now, as a page without would end its writer. Raises OSError."""
        os.posix_fallocate(self._file, 0, self.length)
        self._memory = mmap.mmap(self._file, self.length)

    @property
    def room(self) -> int:
        return self.length - OFFSET

    @property
    def memory(self) -> mmap.mmap:
        assert self._memory is not None, 'take_memory() comes first'
        return self._memory

    def claim(self) -> bool:
        """Lock one without a frame; False where it was taken away."""
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return os.fstat(self._file).st_nlink > 0
        return False

    def fill(self, data: memoryview) -> None:
        """Write the bytes of a frame."""
        self.memory[OFFSET : OFFSET + len(data)] = data

    def seal(self, frame: int) -> None:
        """There is a frame in it from now on. Whoever reads before finds that there is none."""
        HEAD.pack_into(self.memory, 0, frame)
        self._unlock()

    def empty(self) -> None:
        """Nobody needs the frame in it."""
        HEAD.pack_into(self.memory, 0, NO_FRAME)

    def let_go(self) -> None:
        """There is to be no frame in it after all."""
        self._unlock()

    def array(self, size: int) -> Array:
        """Its first bytes, to write a frame to."""
        return np.frombuffer(self.memory, np.uint8, size, OFFSET)

    def look(self, size: int) -> Array:
        """Its first bytes, read-only."""
        return np.frombuffer(memoryview(self.memory).toreadonly(), np.uint8, size, OFFSET)

    def _unlock(self) -> None:
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of it, and of the file, which has been or is to be taken away by another."""
        if self._memory is not None:
            self._memory.close()
        os.close(self._file)

    def remove(self) -> None:
        """Take it away."""
        remove_block(self.path)
        self.close()


class FrameWriter:
    """A producer's blocks. ``folder``: where they are; ``prefix``: of their names, and no other's.

    ``limit``: bytes of shared memory that all producers of the folder may have together.
    """

    def __init__(self, folder: Path, prefix: str, limit: int) -> None:
        self._folder = folder
        self._prefix = prefix
        self._limit = limit
        self._made = 0
        self._frames = 0
        self._used: dict[int, _Block] = {}  # by frame
        self._free: list[_Block] = []  # the one used last, which is likeliest in the cache, last
        # What is lent, by its address; until it is seen that nobody has it any more.
        self.lends: dict[int, tuple[_Block, weakref.ref[Array]]] = {}

    def write(self, data: memoryview) -> tuple[int, str]:
        """Write a frame: (its number, the name of its block). Raises NoRoomError."""
        block = self._take(len(data), PATIENCE)
        block.fill(data)
        return self._seal(block)

    def lend(self, size: int) -> Array:
        """So many bytes for somebody to write a frame to; undefined, as ``numpy.empty`` is.

        They are his until he has no array of them any more. Raises NoRoomError where more than half
        of the memory is taken: what is left is for frames that are due.
        """
        self._take_back()
        taken = size_of(self._folder) - sum(each.length for each in self._free)
        if 2 * taken > self._limit:
            raise NoRoomError(f'more than half of {self._limit / 1e6:g} MB of frames is taken')
        block = self._take(size, 0.0)
        array = block.array(size)
        self.lends[address_of(array)] = block, weakref.ref(array)
        return array

    def lent(self, address: int) -> Array | None:
        """What is lent there; None where nobody has it any more."""
        return self.lends[address][1]()

    def write_lent(self, address: int, size: int) -> tuple[int, str, Array]:
        """Make a frame of what was written there, and nobody has any more.

        Returns its number, the name of its block, and its bytes, read-only.
        """
        block, _ = self.lends.pop(address)
        return *self._seal(block), block.look(size)

    def _seal(self, block: _Block) -> tuple[int, str]:
        self._frames += 1
        block.seal(self._frames)
        self._used[self._frames] = block
        return self._frames, block.path.name

    def _take_back(self) -> None:
        """What was lent, and nobody has any more."""
        for address, (block, array) in list(self.lends.items()):
            if array() is None:
                del self.lends[address]
                block.let_go()
                self._keep_free(block)

    def release(self, frame: int) -> None:
        """Nobody needs a frame any more; which of them is for others to know."""
        block = self._used.pop(frame, None)
        if block is None:
            return
        block.empty()
        self._keep_free(block)

    def _keep_free(self, block: _Block) -> None:
        self._free.append(block)
        while len(self._free) > KEPT_FREE:
            self._free.pop(0).remove()

    def release_all_but(self, frames: set[int], last: int) -> None:
        """Of the frames up to the one with the number ``last`` nobody needs any others."""
        for frame in self._used.keys() - frames:
            if frame <= last:
                self.release(frame)

    def _take(self, size: int, patience: float) -> _Block:
        """A block for a frame, locked; room for it is waited for so long (s)."""
        for block in [each for each in reversed(self._free) if size <= each.room]:
            self._free.remove(block)
            if block.claim():
                return block
            block.close()
        return self._make(room_for(size), patience)

    def _make(self, length: int, patience: float) -> _Block:
        self._made += 1
        try:
            block = _Block(self._folder / f'{self._prefix}{self._made}', length)
        except OSError as error:
            raise NoRoomError(str(error)) from None
        try:
            self._make_room(length, patience)
            block.take_memory()
        except (OSError, NoRoomError) as error:
            block.remove()
            raise NoRoomError(str(error)) from None
        return block

    def _make_room(self, length: int, patience: float) -> None:
        """Have blocks without a frame give way to one that is reserved. Raises NoRoomError.

        What two reserve at once counts for both, so they never have too much together; and what one
        of them takes away makes room for the other, too, a moment later.
        """
        deadline = time.monotonic() + patience
        while (used := size_of(self._folder)) > self._limit:
            if self._free:
                self._free.pop(0).remove()
            elif remove_a_free_one(self._folder):
                continue
            elif time.monotonic() < deadline:
                time.sleep(PATIENCE / 10)
            else:
                raise NoRoomError(
                    f'found {(used - length) / 1e6:.0f} MB of frames; '
                    f'allowed: {self._limit / 1e6:g} MB'
                )

    def close(self) -> None:
        """Take the blocks away that nobody needs; the others go when their last reader does."""
        self._take_back()
        while self._free:
            self._free.pop().remove()


def address_of(array: Array) -> int:
    """Where its bytes are."""
    return int(array.__array_interface__['data'][0])
