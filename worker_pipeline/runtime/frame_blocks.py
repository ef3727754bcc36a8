"""Blocks of shared memory with frames in them: written once, read in place, written again.

A block is a file in the pipeline's folder, made by the worker that writes it (``frame_writer``) and
mapped by those that read it (``frame_reader``). It is used again for the next frame as soon as its
producer is told that nobody needs the one in it: fresh memory has to be filled with zeros by the
kernel first, which takes as long as the copy itself. Its first bytes tell which frame it holds, so
a reader that comes too late is told, and never given other pixels.

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
from collections.abc import Iterator
from pathlib import Path

SHARED_MEMORY = Path('/dev/shm')
# The number of the frame, padded so that the bytes begin where vector instructions like them to.
HEAD = struct.Struct('<Q')
OFFSET = 64
NO_FRAME = 0
# Blocks are of whole pages, and somewhat larger than asked for, so that frames of nearly one size
# go into one another's.
_PAGE = 64 * 1024


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
            if os.pread(file, HEAD.size, 0) == HEAD.pack(frame):
                os.pwrite(file, HEAD.pack(NO_FRAME), 0)
        finally:
            os.close(file)


def remove_a_free_one(folder: Path) -> bool:
    """Take away a block without a frame, unless its owner is about to write one; whether it did."""
    for path in blocks_of(folder, ''):
        with contextlib.suppress(OSError):  # locked, or gone
            file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                head = os.pread(file, HEAD.size, 0)
                if head == HEAD.pack(NO_FRAME) and os.fstat(file).st_nlink:
                    remove_block(path)
                    return True
            finally:
                os.close(file)
    return False


def blocks_of(folder: Path, prefix: str) -> Iterator[Path]:
    """The blocks that a producer has left."""
    with contextlib.suppress(FileNotFoundError):
        yield from folder.glob(f'{prefix}*')
