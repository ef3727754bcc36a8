# SPDX-License-Identifier: Apache-2.0
"""Reads frames in place."""

from __future__ import annotations

import contextlib
import mmap
import os
from collections import OrderedDict
from pathlib import Path

import numpy as np
import numpy.typing as npt

from worker_pipeline.frames.blocks import DATA_OFFSET, HEADER
from worker_pipeline.frames.reference import FrameNumber

# Blocks that a reader keeps mapped.
MAX_MAPPED_BLOCKS = 64


class FrameGoneError(Exception):
    """The requested frame no longer exists."""


class FrameReader:
    """Maps the blocks in a folder and reads their frames."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
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
        if memory is None:
            memory = self._map(block)
        else:
            self._mapped.move_to_end(block)
        if len(memory) < DATA_OFFSET + size or HEADER.unpack_from(memory)[0] != frame:
            raise FrameGoneError(f'frame {frame} of {block}: was freed; its block was reused')
        return np.frombuffer(memory, np.uint8, size, DATA_OFFSET)

    def _map(self, block: str) -> mmap.mmap:
        try:
            file = os.open(f'{self._folder}/{block}', os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise FrameGoneError(f'{block}: cannot be opened ({error.strerror})') from None
        try:
            memory = mmap.mmap(file, 0, access=mmap.ACCESS_READ)
        finally:
            os.close(file)
        self._mapped[block] = memory
        for name in list(self._mapped)[: max(0, len(self._mapped) - MAX_MAPPED_BLOCKS)]:
            with contextlib.suppress(BufferError):  # an array still uses it
                self._mapped[name].close()
                del self._mapped[name]
        return memory

    def close(self) -> None:
        """Unmap all blocks that no array uses."""
        for name in list(self._mapped):
            with contextlib.suppress(BufferError):
                self._mapped[name].close()
                del self._mapped[name]
