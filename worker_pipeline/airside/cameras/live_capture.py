# SPDX-License-Identifier: Apache-2.0
"""A camera read by its own thread, so that a frame is stamped when it arrives."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import attrs
import numpy as np

from worker_pipeline.airside.cameras import ImageAllocator, no_image_buffer
from worker_pipeline.airside.cameras.device import capture_time
from worker_pipeline.airside.common.backoff import Backoff
from worker_pipeline.airside.common.opencv import cv2
from worker_pipeline.airside.messages.image import Pixels
from worker_pipeline.context import NANOSECONDS
from worker_pipeline.core.source_rate import SourceRate
from worker_pipeline.status import StageStatus

FIRST_PAUSE, MAX_PAUSE = 0.1, 5.0  # s, between two attempts to reopen a camera
_JOIN_TIMEOUT = 2.0  # s
RATE_PERIOD = NANOSECONDS // 2  # between two reports of the camera's rate, ns


@attrs.frozen(eq=False)
class Captured:
    """An image (H, W, 3), BGR, and its time of capture: steady time, ns."""

    pixels: Pixels
    time: int


class LiveCapture:
    """Keeps the newest frame of a camera, and reopens a camera that fails until it is back.

    Args:
        open_camera: Opens the camera; raises OSError if it cannot.
        first: An open camera to start with, or None.
        latency: s from capture to arrival, for frames that the driver does not stamp.
        status: The stage's status.
        allocate: Returns the buffer for an image.
    """

    def __init__(
        self,
        open_camera: Callable[[], cv2.VideoCapture],
        first: cv2.VideoCapture | None,
        latency: float,
        status: StageStatus,
        allocate: ImageAllocator = no_image_buffer,
    ) -> None:
        self._open = open_camera
        self._capture = first
        self._latency = round(latency * NANOSECONDS)
        self._status = status
        self._allocate = allocate
        self.error_message = '' if first else 'waiting for the camera'
        self._newest: Captured | None = None
        self._rate = SourceRate()
        self._last_time = self._rate_reported_at = 0  # steady time, ns; 0: none yet
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name='camera', daemon=True)
        self._thread.start()

    def newest(self, timeout: float) -> Captured | None:
        """Return the newest frame not yet returned; None if none arrives within ``timeout`` (s)."""
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None, max(0.0, timeout))
            newest, self._newest = self._newest, None
            return newest

    def close(self) -> None:
        """Release the camera: at once, or when a blocked driver call returns."""
        self._closing.set()
        self._thread.join(_JOIN_TIMEOUT)

    def _run(self) -> None:
        backoff = Backoff(FIRST_PAUSE, MAX_PAUSE)
        while not self._closing.is_set():
            try:
                if self._capture is None:
                    self._capture = self._open()
                    self._status.count('reconnects')
                if self._read(self._capture):
                    backoff.reset()
            except (OSError, cv2.error) as error:
                self.error_message = str(error)
                opening = self._capture is None
                self._status.count('failed_opens' if opening else 'failed_reads')
                self._release()
                self._closing.wait(backoff.next())
        self._release()

    def _read(self, capture: cv2.VideoCapture) -> bool:
        """Keep the next frame; return whether it could be decoded. OSError if the camera fails."""
        if not capture.grab():
            raise OSError('the camera stopped giving images')
        now = time.monotonic_ns()
        captured = capture_time(capture, now)
        self._status.set('stamped_by', 'arrival' if captured is None else 'driver')
        done, pixels = capture.retrieve(self._allocate())
        if not done or pixels is None:
            # A damaged frame, for example from a bad cable; the next may be good.
            self.error_message = 'an image could not be decoded'
            self._status.count('failed_reads')
            return False
        moment = now - self._latency if captured is None else captured
        self.error_message = ''
        self._note_rate(moment)
        with self._changed:
            self._newest = Captured(np.asarray(pixels, dtype=np.uint8), moment)
            self._changed.notify()
        return True

    def _note_rate(self, moment: int) -> None:
        """Report the rate of the camera, and how many images are missing, now and then."""
        if self._last_time:
            self._rate.step(moment - self._last_time)
        self._last_time = moment
        if moment - self._rate_reported_at < RATE_PERIOD:
            return
        self._rate_reported_at = moment
        self._rate.look()
        self._status.set('camera_rate_hz', f'{self._rate.rate:.2f}')
        self._status.set('camera_jitter_ms', f'{self._rate.jitter / 1e6:.2f}')
        self._status.set('camera_missing', self._rate.missing)

    def _release(self) -> None:
        if self._capture is not None:
            self._capture.release()
            self._capture = None
            self._last_time = 0  # the gap until it is open again is counted as a reconnect
