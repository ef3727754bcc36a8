"""A live camera, stamped with ROS time."""

from __future__ import annotations

import time
from collections.abc import Callable

import cv2

from worker_pipeline.airside.cameras import Asked, Frame, Room, no_room
from worker_pipeline.airside.cameras.device import Device
from worker_pipeline.airside.cameras.live_capture import LiveCapture
from worker_pipeline.airside.clocks import read_clocks
from worker_pipeline.context import NANOSECONDS
from worker_pipeline.core.forward_clock import ForwardClock
from worker_pipeline.status import StageStatus


class LiveCamera:
    """The newest image of a device. What it is asked for does not matter: it knows only now.

    ``wait``: whether the device may come later; otherwise OSError if it is not there.
    ``latency``, ``timeout``: s, as LiveCapture has them; how long an image is waited for.
    """

    size = None

    def __init__(
        self,
        device: Device,
        latency: float,
        timeout: float,
        status: StageStatus,
        *,
        wait: bool = False,
        room: Room = no_room,
        clocks: Callable[[], tuple[int, int]] = read_clocks,
    ) -> None:
        self.clock = ForwardClock()
        self._path = device.path
        self._timeout = timeout
        self._status = status
        self._clocks = clocks
        self._silence = ''
        first: cv2.VideoCapture | None = None if wait else device.open()
        self._capture = LiveCapture(device.open, first, latency, status, room)

    @property
    def trouble(self) -> str:
        if self._capture.trouble or self._silence:
            return self._capture.trouble or self._silence
        if self.clock.set_back:
            behind = self.clock.set_back / NANOSECONDS
            return f'ROS time was set back by {behind:.3f} s; images keep the time from before'
        return ''

    def frame(self, asked: Asked, after: int) -> Frame | None:  # noqa: ARG002 - it knows only now
        """The newest image that was not given before; waits for one, if there is none yet."""
        deadline = time.monotonic() + self._timeout
        while (captured := self._capture.newest(deadline - time.monotonic())) is not None:
            self._silence = ''
            self.clock.follow(*self._clocks())
            stamp = self.clock.ros_time(captured.time)
            if stamp > after:
                return Frame(captured.pixels, stamp)
            # One again; or the one before it was stamped by its arrival, this one by the driver.
            self._status.count('repeated')
        self._silence = f'no new image of {self._path} within {self._timeout:g} s'
        return None

    def close(self) -> None:
        """Let go of the device."""
        self._capture.close()
