"""A video file as a camera."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from worker_pipeline.airside.cameras import frame_index
from worker_pipeline.airside.image import Pixels
from worker_pipeline.stage import EndOfStream

# Up to so many frames ahead, decoding them is quicker than a seek, which starts at a key frame.
_NEARBY = 30


class VideoFileCamera:
    """The frame of a video at the time asked for. ``rate`` (frames/s): 0 for the file's own."""

    def __init__(self, path: str, rate: float = 0.0) -> None:
        if not Path(path).is_file():
            raise FileNotFoundError(f'path: found {path!r}; allowed: a video file')
        self._path = path
        self._capture = cv2.VideoCapture(path)
        self._rate = rate or self._capture.get(cv2.CAP_PROP_FPS)
        if not self._capture.isOpened() or not self._rate > 0:
            raise OSError(f'path: {path!r} is not a video that OpenCV can read')
        self._count = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self._next = 0
        self._last: Pixels | None = None

    def frame(self, time: float) -> Pixels:
        """The frame shown at ``time``."""
        index = frame_index(time, self._rate)
        if index >= self._count:
            raise EndOfStream
        if index == self._next - 1 and self._last is not None:
            return self._last
        if self._next <= index <= self._next + _NEARBY:
            while self._next < index and self._capture.grab():
                self._next += 1
        else:
            self._capture.set(cv2.CAP_PROP_POS_FRAMES, index)
        done, pixels = self._capture.read()
        if not done:
            # Where the reader stands now is not known: seek next time.
            self._next, self._last = self._count, None
            raise OSError(f'{self._path}: cannot read frame {index} of {self._count}')
        self._next, self._last = index + 1, np.asarray(pixels, dtype=np.uint8)
        return self._last

    def close(self) -> None:
        """Close the file."""
        self._capture.release()
