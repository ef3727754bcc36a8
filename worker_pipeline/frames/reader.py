# SPDX-License-Identifier: Apache-2.0
"""Reads frames in place."""

from __future__ import annotations

import contextlib
import mmap
import os
import time
from collections import OrderedDict
from pathlib import Path

import numpy as np
import numpy.typing as npt

from worker_pipeline.frames.blocks import DATA_OFFSET, HEADER
from worker_pipeline.frames.reference import FrameNumber

# Blocks that a reader keeps mapped.
MAX_MAPPED_BLOCKS = 64


# How often to look for a missing block, s.
RETRY_PERIOD = 0.01


class FrameGoneError(Exception):
    """The requested frame no longer exists."""


class FrameReader:
    """Maps the blocks in a folder and reads their frames.

    Args:
        folder: The folder.
        patience: How long to wait for a block that is missing, s: somebody may have removed its
            file, and its producer writes it again.
    """

    def __init__(self, folder: Path, patience: float = 0.0) -> None:
        self._folder = folder
        self._patience = patience
        self._mapped: OrderedDict[str, mmap.mmap] = OrderedDict()

    def read(self, block: str, frame: FrameNumber, size: int) -> npt.NDArray[np.uint8]:
        """Return the bytes of a frame, read-only and without a copy.

        Every view of the array keeps it alive, so its end means that the frame is no longer used
        here.

        Args:
            block: The name of the block's file.
            frame: The number of the frame.
            size: The size of its data, bytes.

        Raises:
            FrameGoneError: The block was removed, or holds another frame.
        """
        memory = self._mapped.get(block)
        if memory is not None and _holds(memory, frame, size):
            self._mapped.move_to_end(block)
            return np.frombuffer(memory, np.uint8, size, DATA_OFFSET)
        # What is mapped may be a file that was removed, and written again since.
        memory = self._map(block)
        if not _holds(memory, frame, size):
            raise FrameGoneError(f'frame {frame} of {block}: was freed; its block was reused')
        return np.frombuffer(memory, np.uint8, size, DATA_OFFSET)

    def _map(self, block: str) -> mmap.mmap:
        file = self._open(block)
        try:
            memory = mmap.mmap(file, 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:  # ValueError: its length is 0
            raise FrameGoneError(f'{block}: cannot be mapped ({error})') from None
        finally:
            os.close(file)
        former = self._mapped.pop(block, None)
        if former is not None:
            with contextlib.suppress(BufferError):  # an array still uses it
                former.close()
        self._mapped[block] = memory
        for name in list(self._mapped)[: max(0, len(self._mapped) - MAX_MAPPED_BLOCKS)]:
            with contextlib.suppress(BufferError):  # an array still uses it
                self._mapped[name].close()
                del self._mapped[name]
        return memory

    def _open(self, block: str) -> int:
        deadline = time.monotonic() + self._patience
        while True:
            try:
                return os.open(f'{self._folder}/{block}', os.O_RDONLY | os.O_CLOEXEC)
            except OSError as error:
                is_missing = isinstance(error, FileNotFoundError)
                if not is_missing or time.monotonic() >= deadline:
                    text = f'{block}: cannot be opened ({error.strerror})'
                    raise FrameGoneError(text) from None
            time.sleep(RETRY_PERIOD)

    def close(self) -> None:
        """Unmap all blocks that no array uses."""
        for name in list(self._mapped):
            with contextlib.suppress(BufferError):
                self._mapped[name].close()
                del self._mapped[name]


def _holds(memory: mmap.mmap, frame: FrameNumber, size: int) -> bool:
    """Return whether a block holds a frame, and is long enough for its data."""
    return len(memory) >= DATA_OFFSET + size and HEADER.unpack_from(memory)[0] == frame
