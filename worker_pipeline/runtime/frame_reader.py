"""A reader's side of frames: looks at them where they are."""

from __future__ import annotations

import contextlib
import mmap
import os
from collections import OrderedDict
from pathlib import Path

import numpy as np
import numpy.typing as npt

from worker_pipeline.runtime.frame_blocks import HEAD, OFFSET

# Blocks that a reader keeps mapped.
KEPT_MAPPED = 64


class FrameGoneError(Exception):
    """The frame that was asked for is not there any more."""


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
        if len(memory) < OFFSET + size or HEAD.unpack_from(memory)[0] != frame:
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
