# SPDX-License-Identifier: Apache-2.0
"""A folder of images as a recording."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from worker_pipeline.airside.common.opencv import cv2
from worker_pipeline.airside.messages.image import Pixels
from worker_pipeline.stage import EndOfStream
from worker_pipeline.status import StageStatus

SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')
DEFAULT_RATE = 10.0  # frames/s


class ImageFolder:
    """The images of a folder in the order of their names.

    Args:
        path: The folder.
        rate: frames/s; 0 for 10.
        status: The stage's status, for counters.
    """

    def __init__(self, path: str, rate: float, status: StageStatus) -> None:
        folder = Path(path)
        if not folder.is_dir():
            raise FileNotFoundError(f'path: found {path!r}; allowed: a folder of images')
        self._files = sorted(
            each
            for each in folder.iterdir()
            # A hidden file is one that is still being written.
            if each.suffix.lower() in SUFFIXES and not each.name.startswith('.')
        )
        if not self._files:
            raise FileNotFoundError(f'path: no image in {path!r}; allowed: {", ".join(SUFFIXES)}')
        self.rate = rate or DEFAULT_RATE
        self.error_message = ''
        self._status = status
        first = _read(self._files[0])
        self.size = None if first is None else (first.shape[1], first.shape[0])

    def read(self, index: int) -> Pixels | None:
        """Return the image with this index."""
        if index >= len(self._files):
            raise EndOfStream
        pixels = _read(self._files[index])
        self.error_message = ''
        if pixels is None:
            self.error_message = f'{self._files[index]} is not an image that OpenCV can read'
            self._status.count('unreadable')
        return pixels

    def close(self) -> None:
        """Do nothing: no file is held open."""


def _read(path: Path) -> Pixels | None:
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
    return None if pixels is None else np.asarray(pixels, dtype=np.uint8)
