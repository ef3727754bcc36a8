"""Blocks of shared memory with frames in them: written once, read in place, written again.

A block is a file in the pipeline's folder, made by the worker that writes it and mapped by those
that read it. It is used again for the next frame as soon as its producer is told that nobody needs
the one in it: fresh memory has to be filled with zeros by the kernel first, which takes as long as
the copy itself. Its first bytes tell which frame it holds, so a reader that comes too late is told,
and never given other pixels.

Where there is no more room, blocks without a frame give way, whosever they are. Who writes a block
that has none, or takes one away, holds its file's lock: the kernel lets go of that when he dies.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import shutil
import struct
import time
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

SHARED_MEMORY = Path('/dev/shm')
# The number of the frame, padded so that the bytes begin where vector instructions like them to.
_HEAD = struct.Struct('<Q')
OFFSET = 64
_NO_FRAME = 0
# Blocks are of whole pages, and somewhat larger than asked for, so that frames of nearly one size
# go into one another's.
_PAGE = 64 * 1024
# Free blocks that a producer keeps; the others are given back to the system.
KEPT_FREE = 4
# How long a producer waits for room, s; as long as it takes to send a frame by a socket.
PATIENCE = 0.005
# Blocks that a reader keeps mapped.
KEPT_MAPPED = 64


class FrameGoneError(Exception):
    """The frame that was asked for is not there any more."""


class NoRoomError(Exception):
    """There is no room for a frame."""


class _Block:
    """One of our own. Made, it is locked, until there is a frame in it."""

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

    def fill(self, frame: int, data: memoryview) -> None:
        """Write a frame. Whoever reads before it is all there finds that there is none."""
        self.memory[OFFSET : OFFSET + len(data)] = data
        _HEAD.pack_into(self.memory, 0, frame)
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def empty(self) -> None:
        """Nobody needs the frame in it."""
        _HEAD.pack_into(self.memory, 0, _NO_FRAME)

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

    def write(self, data: memoryview) -> tuple[int, str]:
        """Write a frame: (its number, the name of its block). Raises NoRoomError."""
        block = self._take(len(data))
        self._frames += 1
        block.fill(self._frames, data)
        self._used[self._frames] = block
        return self._frames, block.path.name

    def release(self, frame: int) -> None:
        """Nobody needs a frame any more; which of them is for others to know."""
        block = self._used.pop(frame, None)
        if block is None:
            return
        block.empty()
        self._free.append(block)
        while len(self._free) > KEPT_FREE:
            self._free.pop(0).remove()

    def release_all_but(self, frames: set[int], last: int) -> None:
        """Of the frames up to the one with the number ``last`` nobody needs any others."""
        for frame in self._used.keys() - frames:
            if frame <= last:
                self.release(frame)

    def _take(self, size: int) -> _Block:
        """A block for a frame, locked."""
        for block in [each for each in reversed(self._free) if size <= each.room]:
            self._free.remove(block)
            if block.claim():
                return block
            block.close()
        return self._make(room_for(size))

    def _make(self, length: int) -> _Block:
        self._made += 1
        try:
            block = _Block(self._folder / f'{self._prefix}{self._made}', length)
        except OSError as error:
            raise NoRoomError(str(error)) from None
        try:
            self._make_room(length)
            block.take_memory()
        except (OSError, NoRoomError) as error:
            block.remove()
            raise NoRoomError(str(error)) from None
        return block

    def _make_room(self, length: int) -> None:
        """Have blocks without a frame give way to one that is reserved. Raises NoRoomError.

        What two reserve at once counts for both, so they never have too much together; and what one
        of them takes away makes room for the other, too, a moment later.
        """
        deadline = time.monotonic() + PATIENCE
        while (used := size_of(self._folder)) > self._limit:
            if self._free:
                self._free.pop(0).remove()
            elif _remove_a_free_one(self._folder):
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
        while self._free:
            self._free.pop().remove()


class FrameReader:
    """Reads the frames of others in place."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mapped: OrderedDict[str, mmap.mmap] = OrderedDict()

    def read(self, block: str, frame: int, size: int) -> npt.NDArray[np.uint8]:
        """The bytes of a frame, read-only and where they are. Raises FrameGoneError.

        Whatever is made of the array without a copy keeps it, so it ends when nobody looks at the
        frame any more.
        """
        memory = self._mapped.get(block)
        if memory is None:
            memory = self._map(block)
        else:
            self._mapped.move_to_end(block)
        if len(memory) < OFFSET + size or _HEAD.unpack_from(memory)[0] != frame:
            raise FrameGoneError(f'frame {frame} of {block}: is gone; another one is in its place')
        return np.frombuffer(memory, np.uint8, size, OFFSET)

    def _map(self, block: str) -> mmap.mmap:
        try:
            file = os.open(f'{self._folder}/{block}', os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise FrameGoneError(f'{block}: is gone ({error.strerror})') from None
        try:
            memory = mmap.mmap(file, 0, access=mmap.ACCESS_READ)
        finally:
            os.close(file)
        self._mapped[block] = memory
        for name in list(self._mapped)[: max(0, len(self._mapped) - KEPT_MAPPED)]:
            with contextlib.suppress(BufferError):  # is being looked at
                self._mapped[name].close()
                del self._mapped[name]
        return memory

    def close(self) -> None:
        """Let go of all that nobody looks at."""
        for name in list(self._mapped):
            with contextlib.suppress(BufferError):
                self._mapped[name].close()
                del self._mapped[name]


def allowance(folder: Path, wanted: int) -> tuple[int, str]:
    """How many bytes of ``wanted`` frames may have in a folder, and why not all; '' where all.

    No more than half of a small memory: others need some, too. None at all where the folder is not
    in memory: a disk would be written without end.
    """
    if not folder.is_relative_to(SHARED_MEMORY):
        return 0, f'as {SHARED_MEMORY} cannot be written to; frames go by sockets'
    total = shutil.disk_usage(folder).total
    if wanted <= total // 2:
        return wanted, ''
    return total // 2, f'half of the {total / 1e6:.0f} MB that {SHARED_MEMORY} has'


def room_for(size: int) -> int:
    """How many bytes of shared memory a frame of so many takes."""
    return -(-(OFFSET + size) // _PAGE) * _PAGE


def size_of(folder: Path) -> int:
    """How many bytes all blocks have."""
    total = 0
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as files:
        for file in files:
            with contextlib.suppress(FileNotFoundError):
                total += file.stat().st_size
    return total


def remove_block(path: Path) -> None:
    """Take a block away that nobody needs; its memory goes at once, whoever has it mapped still."""
    with contextlib.suppress(OSError, ValueError):  # it is gone, or has no length
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            with mmap.mmap(file, 0) as memory:
                # Rather than to cut the file off, which would end who looks for a frame in it: he
                # finds that there is none.
                memory.madvise(mmap.MADV_REMOVE)
        finally:
            os.close(file)
    path.unlink(missing_ok=True)


def empty_block(path: str, frame: int) -> None:
    """Nobody needs a frame: its block may give way from now on, before its owner hears of it."""
    with contextlib.suppress(OSError):
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            # Of an older frame it may be told late; and until its owner hears of it, no other one
            # is written there.
            if os.pread(file, _HEAD.size, 0) == _HEAD.pack(frame):
                os.pwrite(file, _HEAD.pack(_NO_FRAME), 0)
        finally:
            os.close(file)


def _remove_a_free_one(folder: Path) -> bool:
    """Take away a block without a frame, unless its owner is about to write one; whether it did."""
    for path in blocks_of(folder, ''):
        with contextlib.suppress(OSError):  # locked, or gone
            file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                head = os.pread(file, _HEAD.size, 0)
                if head == _HEAD.pack(_NO_FRAME) and os.fstat(file).st_nlink:
                    remove_block(path)
                    return True
            finally:
                os.close(file)
    return False


def blocks_of(folder: Path, prefix: str) -> Iterator[Path]:
    """The blocks that a producer has left."""
    with contextlib.suppress(FileNotFoundError):
        yield from folder.glob(f'{prefix}*')
