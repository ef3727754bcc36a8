"""A video file as a recording."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import cv2
import numpy as np

from worker_pipeline.airside.cameras import Room, no_room
from worker_pipeline.airside.image import Pixels
from worker_pipeline.stage import EndOfStream
from worker_pipeline.status import StageStatus

# Up to so many frames ahead, decoding them is quicker than a seek, which starts at a key frame.
_NEARBY = 30
_OPTIONS = 'OPENCV_FFMPEG_CAPTURE_OPTIONS'


class VideoFile:
    """The frames of a video. ``rate`` (frames/s): 0 for the file's own.

    One that was cut short, as by a power cut, is played as far as it can be read. ``room``: where
    frames are written to, so far as they fit.
    """

    def __init__(self, path: str, rate: float, status: StageStatus, room: Room = no_room) -> None:
        if not Path(path).is_file():
            raise FileNotFoundError(f'path: found {path!r}; allowed: a video file')
        self._path = path
        self._status = status
        self._room = room
        with _without_torn_frames():
            self._capture = cv2.VideoCapture(path)
        self.rate = rate or self._capture.get(cv2.CAP_PROP_FPS)
        if not self._capture.isOpened() or not self.rate > 0:
            raise OSError(
                f'path: {path!r} is not a video that OpenCV can read; of one that was cut short, '
                'mkv, avi and ts can be, mp4 cannot'
            )
        width, height = (
            round(self._capture.get(each))
            for each in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
        )
        self.size = width, height
        self.trouble = ''
        # As the file says; one that was never finished does not say.
        self._count = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        self._next: int | None = 0  # None: not known where the reader stands

    def read(self, index: int) -> Pixels | None:
        """One frame."""
        if self._count and index >= self._count:
            raise EndOfStream
        if self._next is not None and 0 <= index - self._next <= _NEARBY:
            for _ in range(index - self._next):
                self._capture.grab()
        else:
            self._capture.set(cv2.CAP_PROP_POS_FRAMES, index)
        done, pixels = self._capture.read(self._room())
        if not done:
            self._end()
        self._next = index + 1
        return np.asarray(pixels, dtype=np.uint8)

    def close(self) -> None:
        """Close the file."""
        self._capture.release()

    def _end(self) -> NoReturn:
        """OpenCV goes on past what it cannot decode: where it stops, nothing comes any more."""
        if self._count and not self.trouble:
            # Where a seek ended, too, this is how far there is something.
            readable = min(round(self._capture.get(cv2.CAP_PROP_POS_FRAMES)), self._count)
            self.trouble = (
                f'{self._path} was cut short: of {self._count} frames {readable} can be read'
            )
            self._status.count('unreadable', self._count - readable)
        self._next = None
        raise EndOfStream


@contextmanager
def _without_torn_frames() -> Iterator[None]:
    """What is opened within gives no frame of which a part is missing, as at the end of a file."""
    given = os.environ.get(_OPTIONS)
    if given is None:
        os.environ[_OPTIONS] = 'fflags;discardcorrupt'
    try:
        yield
    finally:
        if given is None:
            del os.environ[_OPTIONS]
