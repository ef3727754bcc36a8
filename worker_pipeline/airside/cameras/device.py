"""A camera device, through OpenCV."""

from __future__ import annotations

import cv2
import numpy as np

from worker_pipeline.airside.image import Pixels


class DeviceCamera:
    """A live camera. ``path``: a device's number or path, or a pipeline OpenCV understands.

    ``width``, ``height``: pixels, what is asked of the device; it may give another size.
    ``rate``: frames/s asked of it, 0 to leave it.
    """

    def __init__(self, path: str, width: int, height: int, rate: float = 0.0) -> None:
        self._path = path
        self._capture = cv2.VideoCapture(int(path) if path.isdigit() else path)
        if not self._capture.isOpened():
            raise OSError(f'path: {path!r} is not a camera that OpenCV can open')
        self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, width)
        self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, height)
        if rate > 0:
            self._capture.set(cv2.CAP_PROP_FPS, rate)

    def frame(self, time: float) -> Pixels:
        """The next image: a live camera knows only now, whatever ``time`` is."""
        done, pixels = self._capture.read()
        if not done:
            raise OSError(f'{self._path}: the camera gave no image at {time:.3f} s')
        return np.asarray(pixels, dtype=np.uint8)

    def close(self) -> None:
        """Close the device."""
        self._capture.release()
