# SPDX-License-Identifier: Apache-2.0
"""A live camera, stamped with ROS time."""

from __future__ import annotations

import time
from collections.abc import Callable

from worker_pipeline.airside.cameras import (
    CameraFrame,
    FrameRequest,
    ImageAllocator,
    no_image_buffer,
)
from worker_pipeline.airside.cameras.device import Device
from worker_pipeline.airside.cameras.live_capture import LiveCapture
from worker_pipeline.airside.common.clocks import read_steady_and_ros_time
from worker_pipeline.airside.common.opencv import cv2
from worker_pipeline.context import NANOSECONDS
from worker_pipeline.core.monotonic_ros_clock import MonotonicRosClock
from worker_pipeline.status import StageStatus


class LiveCamera:
    """A device that gives its newest image, for any requested time.

    Args:
        device: The device to open.
        latency: s, as in :class:`LiveCapture`.
        timeout: s, how long to wait for an image.
        status: The stage's status.
        wait: Accept a device that is not there yet; otherwise OSError.
        allocate: Returns the buffer for an image.
        clocks: Returns steady time and ROS time, ns.
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
        allocate: ImageAllocator = no_image_buffer,
        clocks: Callable[[], tuple[int, int]] = read_steady_and_ros_time,
    ) -> None:
        self.clock = MonotonicRosClock()
        self._path = device.path
        self._timeout = timeout
        self._status = status
        self._clocks = clocks
        self._silence = ''
        first: cv2.VideoCapture | None = None if wait else device.open()
        self._capture = LiveCapture(device.open, first, latency, status, allocate)

    @property
    def error_message(self) -> str:
        if self._capture.error_message or self._silence:
            return self._capture.error_message or self._silence
        if self.clock.set_back:
            behind = self.clock.set_back / NANOSECONDS
            return (
                f'ROS time was set back by {behind:.3f} s; images continue with the previous time'
            )
        return ''

    def frame(self, request: FrameRequest, after: int) -> CameraFrame | None:  # noqa: ARG002
        """Return the newest image not yet returned; wait for one if there is none."""
        deadline = time.monotonic() + self._timeout
        while (captured := self._capture.newest(deadline - time.monotonic())) is not None:
            self._silence = ''
            self.clock.update(*self._clocks())
            stamp = self.clock.ros_time(captured.time)
            if stamp > after:
                return CameraFrame(captured.pixels, stamp)
            # The same image again, or the previous one was stamped on arrival and this one by the
            # driver.
            self._status.count('repeated')
        self._silence = f'no new image of {self._path} within {self._timeout:g} s'
        return None

    def close(self) -> None:
        """Close the device."""
        self._capture.close()
