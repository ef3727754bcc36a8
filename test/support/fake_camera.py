"""A camera that is not there, where ``cv2.VideoCapture`` would open one."""

from __future__ import annotations

import queue
import time

import cv2
import numpy as np

from worker_pipeline.airside.video_input import VideoInput

SIZE = (64, 48)


def picture(number, size=SIZE):
    """An image that says its own number in its brightness, whatever a codec does to it."""
    return np.full((size[1], size[0], 3), 20 + 8 * number, np.uint8)


def number_of(pixels):
    return round((float(pixels.mean()) - 20) / 8)


class FakeDevice:
    """Gives the images it is told to; stands in for ``cv2.VideoCapture`` itself."""

    def __init__(self, backend='V4L2', size=SIZE):
        self.backend = backend
        self.size = size
        self.plugged = True
        self.asked = []  # what was set, in order
        self.opened = []  # with what
        self.grabbed = 0
        self.given_back = 0
        self._frames = queue.Queue()

    def __call__(self, path, backend):
        self.opened.append((path, backend))
        return _FakeCapture(self, self.plugged)

    def shoot(self, number, milliseconds=0.0):
        """Give an image; ``milliseconds``: when it was captured, as the driver has it."""
        self._frames.put((picture(number, self.size), milliseconds))

    def shoot_torn(self):
        self._frames.put((None, 0.0))

    def pull_out(self):
        """What is blocked in it fails, and it cannot be opened any more."""
        self.plugged = False
        self._frames.put(None)

    def fail(self, error):
        """Raise it where an image would be."""
        self._frames.put(error)

    def next(self):
        frame = self._frames.get()
        self.grabbed += 1
        if isinstance(frame, Exception):
            raise frame
        return frame


class _FakeCapture:
    def __init__(self, device, is_opened):
        self._device = device
        self._is_opened = is_opened
        self._frame = None

    def isOpened(self):  # noqa: N802 - OpenCV's
        return self._is_opened

    def getBackendName(self):  # noqa: N802 - OpenCV's
        return self._device.backend

    def set(self, key, value):
        self._device.asked.append((key, value))

    def get(self, key):
        if key == cv2.CAP_PROP_POS_MSEC:
            return self._frame[1]
        width, height = self._device.size
        return {cv2.CAP_PROP_FRAME_WIDTH: width, cv2.CAP_PROP_FRAME_HEIGHT: height}[key]

    def grab(self):
        self._frame = self._device.next()
        return self._frame is not None

    def retrieve(self, image=None):
        pixels = self._frame[0]
        if image is None or pixels is None or image.shape != pixels.shape:
            return pixels is not None, pixels
        image[:] = pixels
        return True, image

    def release(self):
        self._device.given_back += 1


class PacedDevice(FakeDevice):
    """Gives an image every ``period`` seconds, in which stands when it was captured.

    That was ``delay`` seconds before, and the driver says so: steady time, ms.
    """

    def __init__(self, period, delay):
        super().__init__()
        self.period = period
        self.delay = delay

    def next(self):
        time.sleep(self.period)  # the pace of a camera
        pixels = picture(0, self.size)
        captured = round((time.monotonic() - self.delay) * 1e3)
        pixels[0, :8, 0] = np.frombuffer(captured.to_bytes(8, 'little'), np.uint8)
        return pixels, captured


def captured_at(pixels):
    """What stands in an image of a PacedDevice, in ns."""
    return int.from_bytes(pixels[0, :8, 0].tobytes(), 'little') * 1_000_000


class PacedInput(VideoInput):
    """The stage, in a process where such a camera is there."""

    def configure(self):
        cv2.VideoCapture = PacedDevice(0.005, 0.03)
        super().configure()
