"""A folder of images as a camera."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from worker_pipeline.airside.cameras import frame_index
from worker_pipeline.airside.image import Pixels
from worker_pipeline.stage import EndOfStream

SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')
DEFAULT_RATE = 10.0  # frames/s


class ImageFolderCamera:
    """The images of a folder in the order of their names. ``rate`` (frames/s): 0 for 10."""

    def __init__(self, path: str, rate: float = 0.0) -> None:
        folder = Path(path)
        if not folder.is_dir():
            raise FileNotFoundError(f'path: found {path!r}; allowed: a folder of images')
        self._files = sorted(each for each in folder.iterdir() if each.suffix.lower() in SUFFIXES)
        if not self._files:
            raise FileNotFoundError(f'path: no image in {path!r}; allowed: {", ".join(SUFFIXES)}')
        self._rate = rate or DEFAULT_RATE

    def frame(self, time: float) -> Pixels:
        """The image shown at ``time``."""
        index = frame_index(time, self._rate)
        if index >= len(self._files):
            raise EndOfStream
        pixels = cv2.imread(str(self._files[index]), cv2.IMREAD_COLOR)
        if pixels is None:
            raise OSError(f'{self._files[index]} is not an image that OpenCV can read')
        return np.asarray(pixels, dtype=np.uint8)

    def close(self) -> None:
        """Nothing is held open."""
