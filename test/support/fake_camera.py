# SPDX-License-Identifier: Apache-2.0
"""A fake camera that replaces ``cv2.VideoCapture``."""

from __future__ import annotations

import queue
import time

import cv2
import numpy as np
import numpy.typing as npt

from worker_pipeline.airside.video_input import VideoInput

SIZE = (64, 48)
Pixels = npt.NDArray[np.uint8]
Shot = tuple[Pixels | None, float]  # an image, None for a torn one, and its time of capture in ms


def picture(number: int, size: tuple[int, int] = SIZE) -> Pixels:
    """Return an image that encodes its number in its brightness, which survives any codec."""
    return np.full((size[1], size[0], 3), 20 + 8 * number, np.uint8)


def number_of(pixels: Pixels) -> int:
    return round((float(pixels.mean()) - 20) / 8)


class FakeDevice:
    """A device with images set by the test; replaces ``cv2.VideoCapture`` itself."""

    def __init__(self, backend: str = 'V4L2', size: tuple[int, int] = SIZE) -> None:
        self.backend = backend
        self.size = size
        self.plugged = True
        self.asked: list[tuple[int, float]] = []  # (property, value), in order
        self.opened: list[tuple[str, int]] = []  # arguments
        self.grabbed = 0
        self.given_back = 0
        self._frames: queue.Queue[Shot | Exception | None] = queue.Queue()

    def __call__(self, path: str, backend: int) -> _FakeCapture:
        self.opened.append((path, backend))
        return _FakeCapture(self, self.plugged)

    def shoot(self, number: int, milliseconds: float = 0.0) -> None:
        """Give an image; ``milliseconds``: its time of capture according to the driver."""
        self._frames.put((picture(number, self.size), milliseconds))

    def shoot_torn(self) -> None:
        self._frames.put((None, 0.0))

    def pull_out(self) -> None:
        """Unplug the device: a blocked call fails, and it cannot be opened any more."""
        self.plugged = False
        self._frames.put(None)

    def fail(self, error: Exception) -> None:
        """Raise an error instead of giving the next image."""
        self._frames.put(error)

    def next(self) -> Shot | None:
        frame = self._frames.get()
        self.grabbed += 1
        if isinstance(frame, Exception):
            raise frame
        return frame


class _FakeCapture:
    def __init__(self, device: FakeDevice, is_opened: bool) -> None:
        self._device = device
        self._is_opened = is_opened
        self._frame: Shot | None = None

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's
        return self._is_opened

    def getBackendName(self) -> str:  # noqa: N802 - OpenCV's
        return self._device.backend

    def set(self, key: int, value: float) -> None:
        self._device.asked.append((key, value))

    def get(self, key: int) -> float:
        if key == cv2.CAP_PROP_POS_MSEC:
            assert self._frame is not None
            return self._frame[1]
        width, height = self._device.size
        return {cv2.CAP_PROP_FRAME_WIDTH: width, cv2.CAP_PROP_FRAME_HEIGHT: height}[key]

    def grab(self) -> bool:
        self._frame = self._device.next()
        return self._frame is not None

    def retrieve(self, image: Pixels | None = None) -> tuple[bool, Pixels | None]:
        assert self._frame is not None
        pixels = self._frame[0]
        if image is None or pixels is None or image.shape != pixels.shape:
            return pixels is not None, pixels
        image[:] = pixels
        return True, image

    def release(self) -> None:
        self._device.given_back += 1


class PacedDevice(FakeDevice):
    """Gives an image every ``period`` seconds, which contains its time of capture.

    That was ``delay`` seconds before, as reported by the driver: steady time, ms.
    """

    def __init__(self, period: float, delay: float) -> None:
        super().__init__()
        self.period = period
        self.delay = delay

    def next(self) -> Shot | None:
        time.sleep(self.period)  # the pace of a camera
        pixels = picture(0, self.size)
        captured = round((time.monotonic() - self.delay) * 1e3)
        pixels[0, :8, 0] = np.frombuffer(captured.to_bytes(8, 'little'), np.uint8)
        return pixels, captured


def captured_at(pixels: Pixels) -> int:
    """Return the time of capture in an image of a PacedDevice, ns."""
    return int.from_bytes(pixels[0, :8, 0].tobytes(), 'little') * 1_000_000


class PacedInput(VideoInput):
    """The stage, in a process with such a camera."""

    def configure(self) -> None:
        cv2.VideoCapture = PacedDevice(0.005, 0.03)  # type: ignore[assignment,misc]
        super().configure()
