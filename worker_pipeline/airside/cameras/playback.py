# SPDX-License-Identifier: Apache-2.0
"""A recording played as a camera, in the time of the stream."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from worker_pipeline.airside.cameras import CameraFrame, FrameRequest
from worker_pipeline.airside.messages.image import Pixels
from worker_pipeline.context import NANOSECONDS


class Recording(Protocol):
    """Frames numbered from 0."""

    @property
    def rate(self) -> float:
        """Return the rate, frames/s."""

    @property
    def size(self) -> tuple[int, int] | None:
        """Return the columns and rows of the images; None if unknown before the first."""

    @property
    def error_message(self) -> str:
        """Return the current problem; empty if there is none."""

    def read(self, index: int) -> Pixels | None:
        """Return one frame, or None if it cannot be read. Raises EndOfStream past the last."""

    def close(self) -> None:
        """Close the recording."""


class Playback:
    """The frame that a recording shows at the requested time, stamped with that frame's start.

    No frame is returned twice: a request before the next frame is due waits for it. So a recording
    plays at its own rate, however often it is requested.

    Args:
        recording: The recording.
        longest_wait: s, of one request.
        sleep: Waits for some seconds.
        every_frame: A late request returns the next frame instead of skipping any.
    """

    def __init__(
        self,
        recording: Recording,
        longest_wait: float,
        sleep: Callable[[float], None] = time.sleep,
        *,
        every_frame: bool = False,
    ) -> None:
        self._recording = recording
        self._longest_wait = longest_wait
        self._sleep = sleep
        self._every_frame = every_frame
        self._tried = 0  # the newest stamp that was read, successfully or not

    @property
    def size(self) -> tuple[int, int] | None:
        return self._recording.size

    @property
    def error_message(self) -> str:
        return self._recording.error_message

    def frame(self, request: FrameRequest, after: int) -> CameraFrame | None:
        """Return the frame shown now, or the next one."""
        began = request.stamp - request.time
        after = max(after, self._tried)
        # Rounding must not turn the start of a frame into the frame before.
        index = int(request.time / NANOSECONDS * self._recording.rate + 1e-6)
        if self._every_frame:
            index = min(index, self._index_after(after - began))
        stamp = began + self._time_of(index)
        if stamp <= after:
            index += 1
            stamp = began + self._time_of(index)
            wait = (stamp - request.stamp) / NANOSECONDS
            self._sleep(min(wait, self._longest_wait))
            if wait > self._longest_wait or stamp <= after:
                return None
        self._tried = stamp
        pixels = self._recording.read(index)
        return None if pixels is None else CameraFrame(pixels, stamp)

    def restart(self) -> None:
        """Play from the start again: the stream has started over."""
        self._tried = 0

    def close(self) -> None:
        """Close the recording."""
        self._recording.close()

    def _index_after(self, time: int) -> int:
        return max(0, round(time * self._recording.rate / NANOSECONDS) + 1)

    def _time_of(self, index: int) -> int:
        return round(index * NANOSECONDS / self._recording.rate)
