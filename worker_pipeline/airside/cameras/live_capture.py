"""A camera read on a thread of its own, so that a frame's time is when it came."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import attrs
import cv2
import numpy as np

from worker_pipeline.airside.backoff import Backoff
from worker_pipeline.airside.cameras import Room, no_room
from worker_pipeline.airside.cameras.device import capture_time
from worker_pipeline.airside.image import Pixels
from worker_pipeline.context import NANOSECONDS
from worker_pipeline.status import StageStatus

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0  # s, between two attempts to open a camera again
_JOIN_TIME = 2.0  # s


@attrs.frozen(eq=False)
class Captured:
    """An image (H, W, 3), BGR, and when it was captured: steady time, ns."""

    pixels: Pixels
    time: int


class LiveCapture:
    """Keeps the newest frame. A camera that fails is opened again and again, until it is back.

    ``open_camera`` raises OSError where it cannot; ``first``: one that is open already.
    ``latency``: s from a frame's capture to its arrival, where the driver does not stamp it.
    ``room``: where frames are written to, so far as they fit.
    """

    def __init__(
        self,
        open_camera: Callable[[], cv2.VideoCapture],
        first: cv2.VideoCapture | None,
        latency: float,
        status: StageStatus,
        room: Room = no_room,
    ) -> None:
        self._open = open_camera
        self._capture = first
        self._latency = round(latency * NANOSECONDS)
        self._status = status
        self._room = room
        self.trouble = '' if first else 'waiting for the camera'
        self._newest: Captured | None = None
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name='camera', daemon=True)
        self._thread.start()

    def newest(self, timeout: float) -> Captured | None:
        """The newest frame that was not given before; None if there is none within the time (s)."""
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None, max(0.0, timeout))
            newest, self._newest = self._newest, None
            return newest

    def close(self) -> None:
        """Let go of the camera: at once, or when the driver gives the call back."""
        self._closing.set()
        self._thread.join(_JOIN_TIME)

    def _run(self) -> None:
        backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE)
        while not self._closing.is_set():
            try:
                if self._capture is None:
                    self._capture = self._open()
                    self._status.count('reconnects')
                if self._read(self._capture):
                    backoff.reset()
            except (OSError, cv2.error) as error:
                self.trouble = str(error)
                opening = self._capture is None
                self._status.count('failed_opens' if opening else 'failed_reads')
                self._release()
                self._closing.wait(backoff.next())
        self._release()

    def _read(self, capture: cv2.VideoCapture) -> bool:
        """Keep the next frame. OSError if the camera fails; whether the frame could be decoded."""
        if not capture.grab():
            raise OSError('the camera gives no images any more')
        now = time.monotonic_ns()
        captured = capture_time(capture, now)
        self._status.set('stamped_by', 'arrival' if captured is None else 'driver')
        done, pixels = capture.retrieve(self._room())
        if not done or pixels is None:
            # It came torn, as by a bad cable; the next may be whole.
            self.trouble = 'an image could not be decoded'
            self._status.count('failed_reads')
            return False
        moment = now - self._latency if captured is None else captured
        self.trouble = ''
        with self._changed:
            self._newest = Captured(np.asarray(pixels, dtype=np.uint8), moment)
            self._changed.notify()
        return True

    def _release(self) -> None:
        if self._capture is not None:
            self._capture.release()
            self._capture = None
