"""Blocks of shared memory with frames in them: written once, read in place, written again.

A block is a file in the pipeline's folder, made by the worker that writes it and mapped by those
that read it. It is used again for the next frame as soon as its producer is told that nobody needs
the one in it: fresh memory has to be filled with zeros by the kernel first, which takes as long as
the copy itself. Its first bytes tell which frame it holds, so a reader that comes too late is told,
and never given other pixels.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import shutil
import struct
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
# What a producer keeps of free blocks, and as a share of all that is allowed: other producers need
# room, too. The rest is given back to the system.
KEPT_FREE = 4
SHARE_KEPT_FREE = 1 / 8
# Blocks that a reader keeps mapped.
KEPT_MAPPED = 64


class FrameGoneError(Exception):
    """The frame that was asked for is not there any more."""


class NoRoomError(Exception):
    """There is no room for a frame."""


class _Block:
    def __init__(self, path: Path, memory: mmap.mmap) -> None:
        self.path = path
        self.memory = memory
        self.frame = _NO_FRAME

    @property
    def room(self) -> int:
        return len(self.memory) - OFFSET


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

    @property
    def last(self) -> int:
        """The number of the frame that was written last; 0 before the first."""
        return self._frames

    def write(self, data: memoryview) -> tuple[int, str]:
        """Write a frame: (its number, the name of its block). Raises NoRoomError."""
        block = self._take(len(data))
        self._frames += 1
        # Whoever reads meanwhile what was there before finds that it is gone.
        _HEAD.pack_into(block.memory, 0, _NO_FRAME)
        block.memory[OFFSET : OFFSET + len(data)] = data
        block.frame = self._frames
        _HEAD.pack_into(block.memory, 0, block.frame)
        self._used[block.frame] = block
        return block.frame, block.path.name

    def release(self, frame: int) -> None:
        """Nobody needs a frame any more; which of them is for others to know."""
        block = self._used.pop(frame, None)
        if block is None:
            return
        self._free.append(block)
        while len(self._free) > KEPT_FREE or self._size_free() > SHARE_KEPT_FREE * self._limit:
            self._drop(self._free.pop(0))

    def _size_free(self) -> int:
        return sum(len(each.memory) for each in self._free)

    def release_all_but(self, frames: set[int], last: int) -> None:
        """Of the frames up to the one with the number ``last`` nobody needs any others."""
        for frame in self._used.keys() - frames:
            if frame <= last:
                self.release(frame)

    def _take(self, size: int) -> _Block:
        for index in range(len(self._free) - 1, -1, -1):
            if size <= self._free[index].room:
                return self._free.pop(index)
        length = room_for(size)
        while (used := size_of(self._folder)) + length > self._limit:
            if not self._free:
                raise NoRoomError(
                    f'found {used / 1e6:.0f} MB of frames; allowed: {self._limit / 1e6:g} MB'
                )
            self._drop(self._free.pop(0))
        return self._make(length)

    def _make(self, length: int) -> _Block:
        self._made += 1
        path = self._folder / f'{self._prefix}{self._made}'
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise NoRoomError(str(error)) from None
        try:
            # Room for all of it, now: a page without would end whoever writes it, by SIGBUS.
            os.posix_fallocate(file, 0, length)
            return _Block(path, mmap.mmap(file, length))
        except OSError as error:
            path.unlink()
            raise NoRoomError(str(error)) from None
        finally:
            os.close(file)

    def _drop(self, block: _Block) -> None:
        block.memory.close()
        block.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Take the blocks away that nobody needs; the others go when their last reader does."""
        while self._free:
            self._drop(self._free.pop())


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
            file = os.open(self._folder / block, os.O_RDONLY | os.O_CLOEXEC)
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


def blocks_of(folder: Path, prefix: str) -> Iterator[Path]:
    """The blocks that a producer has left."""
    with contextlib.suppress(FileNotFoundError):
        yield from folder.glob(f'{prefix}*')
