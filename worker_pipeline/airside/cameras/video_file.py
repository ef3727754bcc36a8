# SPDX-License-Identifier: Apache-2.0
"""A video file as a recording."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import numpy as np

from worker_pipeline.airside.cameras import ImageAllocator, no_image_buffer
from worker_pipeline.airside.common.opencv import cv2
from worker_pipeline.airside.messages.image import Pixels
from worker_pipeline.stage import EndOfStream
from worker_pipeline.status import StageStatus

# Decoding up to this many frames ahead is faster than a seek, which starts at a key frame.
_MAX_GRABS = 30
_OPTIONS = 'OPENCV_FFMPEG_CAPTURE_OPTIONS'


class VideoFile:
    """The frames of a video.

    A truncated file, as after a power cut, is played as far as it can be read.

    Args:
        path: The file.
        rate: frames/s; 0 for the file's own.
        status: The stage's status, for counters.
        allocate: Returns the buffer for a frame.
    """

    def __init__(
        self,
        path: str,
        rate: float,
        status: StageStatus,
        allocate: ImageAllocator = no_image_buffer,
    ) -> None:
        if not Path(path).is_file():
            raise FileNotFoundError(f'path: found {path!r}; allowed: a video file')
        self._path = path
        self._status = status
        self._allocate = allocate
        with _without_torn_frames():
            self._capture = cv2.VideoCapture(path)
        self.rate = rate or self._capture.get(cv2.CAP_PROP_FPS)
        if not self._capture.isOpened() or not self.rate > 0:
            raise OSError(
                f'path: {path!r} is not a video that OpenCV can read; of truncated files it can '
                'read mkv, avi and ts, but not mp4'
            )
        width, height = (
            round(self._capture.get(each))
            for each in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
        )
        self.size = width, height
        self.error_message = ''
        # As in the file's header; 0 in a file that was never finished.
        self._count = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        self._next: int | None = 0  # None: the position of the reader is unknown

    def read(self, index: int) -> Pixels | None:
        """Return the frame with this index."""
        if self._count and index >= self._count:
            raise EndOfStream
        if self._next is not None and 0 <= index - self._next <= _MAX_GRABS:
            for _ in range(index - self._next):
                self._capture.grab()
        else:
            self._capture.set(cv2.CAP_PROP_POS_FRAMES, index)
        done, pixels = self._capture.read(self._allocate())
        if not done:
            self._end()
        self._next = index + 1
        return np.asarray(pixels, dtype=np.uint8)

    def close(self) -> None:
        """Close the file."""
        self._capture.release()

    def _end(self) -> NoReturn:
        """End the stream. OpenCV skips undecodable frames, so nothing readable follows."""
        if self._count and not self.error_message:
            # Also after a seek, this is the number of readable frames.
            readable = min(round(self._capture.get(cv2.CAP_PROP_POS_FRAMES)), self._count)
            self.error_message = (
                f'{self._path} is truncated: of {self._count} frames {readable} can be read'
            )
            self._status.count('unreadable', self._count - readable)
        self._next = None
        raise EndOfStream


@contextmanager
def _without_torn_frames() -> Iterator[None]:
    """Open captures that drop corrupt frames, as at the end of a truncated file."""
    given = os.environ.get(_OPTIONS)
    if given is None:
        os.environ[_OPTIONS] = 'fflags;discardcorrupt'
    try:
        yield
    finally:
        if given is None:
            del os.environ[_OPTIONS]
