"""A recording as a camera: frame by frame, in the stream's time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from worker_pipeline.airside.cameras import Asked, Frame
from worker_pipeline.airside.image import Pixels
from worker_pipeline.context import NANOSECONDS


class Recording(Protocol):
    """Frames with numbers, from 0."""

    @property
    def rate(self) -> float:
        """Frames/s."""

    @property
    def size(self) -> tuple[int, int] | None:
        """Columns and rows of its images; None where that is not known before the first."""

    @property
    def trouble(self) -> str:
        """What is not as it should be; empty where all is well."""

    def read(self, index: int) -> Pixels | None:
        """One frame, None where it cannot be read. Raises EndOfStream past the last."""

    def close(self) -> None:
        """Let go of what is held open."""


class Playback:
    """The frame that a recording shows at the time asked for, stamped when that frame began.

    None is given twice: asked again before the next is due, it waits for that, for
    ``longest_wait`` seconds at most. So a recording plays at its own rate, however often it is
    asked. ``every_frame``: asked too late, it gives the next one all the same, so that none is
    left out.
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
        self._tried = 0  # the newest stamp that was read, whatever came of it

    @property
    def size(self) -> tuple[int, int] | None:
        return self._recording.size

    @property
    def trouble(self) -> str:
        return self._recording.trouble

    def frame(self, asked: Asked, after: int) -> Frame | None:
        """The frame shown now, or the next one."""
        began = asked.stamp - asked.time
        after = max(after, self._tried)
        # A time on a frame's very beginning must not fall to the one before by rounding.
        index = int(asked.time / NANOSECONDS * self._recording.rate + 1e-6)
        if self._every_frame:
            index = min(index, self._index_after(after - began))
        stamp = began + self._time_of(index)
        if stamp <= after:
            index += 1
            stamp = began + self._time_of(index)
            wait = (stamp - asked.stamp) / NANOSECONDS
            self._sleep(min(wait, self._longest_wait))
            if wait > self._longest_wait or stamp <= after:
                return None
        self._tried = stamp
        pixels = self._recording.read(index)
        return None if pixels is None else Frame(pixels, stamp)

    def close(self) -> None:
        """Close the recording."""
        self._recording.close()

    def _index_after(self, time: int) -> int:
        return max(0, round(time * self._recording.rate / NANOSECONDS) + 1)

    def _time_of(self, index: int) -> int:
        return round(index * NANOSECONDS / self._recording.rate)
