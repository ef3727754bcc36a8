# SPDX-License-Identifier: Apache-2.0
"""Blocks: files in shared memory that hold one frame each and are reused.

A worker creates a block in the pipeline's folder and writes a frame into it (``writer``); others
map it and read the frame in place (``reader``). The worker reuses the block once no one needs its
frame: the kernel has to fill fresh memory with zeros first, which takes as long as the copy itself.
The block's header holds the number of its frame, so a late reader gets an error, never the pixels
of another frame.

When memory runs out, free blocks of any worker are removed. A process holds the lock of a block's
file while it writes or removes the block. The kernel releases the lock if the process dies.
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

from worker_pipeline.frames.reference import FrameNumber

SHARED_MEMORY = Path('/dev/shm')
HEADER = struct.Struct('<Q')  # the number of the frame
DATA_OFFSET = 64  # bytes; aligned for vector instructions
NO_FRAME = 0
# Block sizes are rounded up to this many bytes, so that frames of similar sizes fit the same block.
_GRANULARITY = 64 * 1024


def frame_memory_limit(folder: Path, wanted: int, *, is_in_memory: bool = False) -> tuple[int, str]:
    """Return how much shared memory frames may take in a folder.

    At most half of the memory, which other programs need too; nothing where the folder is on a
    disk, which would be written continuously.

    Args:
        folder: Where the blocks are created.
        wanted: The configured limit, bytes.
        is_in_memory: Whether the folder is known to be in memory, as one in /dev/shm is.

    Returns:
        The limit in bytes, and the reason if it is below ``wanted``, else ''.
    """
    if not is_in_memory and not folder.is_relative_to(SHARED_MEMORY):
        return 0, f'as {folder} is on a disk; frames are sent by socket'
    total = shutil.disk_usage(folder).total
    if wanted <= total // 2:
        return wanted, ''
    return total // 2, f'half of the {total / 1e6:.0f} MB where {folder} is'


def block_size(size: int) -> int:
    """Return the size of the block for a frame of ``size`` bytes."""
    return -(-(DATA_OFFSET + size) // _GRANULARITY) * _GRANULARITY


def total_size(folder: Path) -> int:
    """Return the size of all blocks in a folder, in bytes."""
    total = 0
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as files:
        for file in files:
            with contextlib.suppress(FileNotFoundError):
                total += file.stat().st_size
    return total


def remove_block(path: Path) -> None:
    """Remove a block and free its memory at once, even where it is still mapped."""
    with contextlib.suppress(OSError, ValueError):  # removed already, or still of length 0
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            with mmap.mmap(file, 0) as memory:
                # Not by truncating the file, which would kill a reader by SIGBUS. Readers of the
                # zeroed header find no frame.
                memory.madvise(mmap.MADV_REMOVE)
        finally:
            os.close(file)
    with contextlib.suppress(OSError):  # removed already, or a folder, which is no block
        path.unlink()


def mark_free(path: str, frame: FrameNumber) -> None:
    """Mark the block of a frame as free, so that it can be evicted before its owner is notified."""
    with contextlib.suppress(OSError):
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            # The call may be late and the block hold a newer frame. It cannot change between the
            # read and the write: its owner writes there only after the notification.
            if os.pread(file, HEADER.size, 0) == HEADER.pack(frame):
                os.pwrite(file, HEADER.pack(NO_FRAME), 0)
        finally:
            os.close(file)


def evict_free_block(folder: Path) -> bool:
    """Remove one free block that is not being written; return whether there was one."""
    for path in find_blocks(folder, ''):
        with contextlib.suppress(OSError):  # locked, or removed already
            file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                header = os.pread(file, HEADER.size, 0)
                if header == HEADER.pack(NO_FRAME) and os.fstat(file).st_nlink:
                    remove_block(path)
                    return True
            finally:
                os.close(file)
    return False


def find_blocks(folder: Path, prefix: str) -> Iterator[Path]:
    """Yield the blocks in a folder by the prefix of their names.

    Not by ``Path.glob``: it compiles each pattern once and keeps it, and a prefix is a pid.
    """
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(prefix):
                yield Path(entry.path)
