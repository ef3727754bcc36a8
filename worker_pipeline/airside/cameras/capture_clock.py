"""From the clock that cameras stamp by to ROS time."""

from __future__ import annotations

import time

from worker_pipeline.context import NANOSECONDS

_TRIES = 5
# The two clocks run at one speed; between two looks at them a moment passes.
_TOLERANCE = NANOSECONDS // 1000


class CaptureClock:
    """ROS time of moments of the steady clock, as CLOCK_MONOTONIC and V4L2 have it; all in ns.

    Two moments keep their order and, but where ROS time is set forward, the time between them.
    Where it is set back, as by NTP, the time from before goes on.
    """

    def __init__(self) -> None:
        self.offset = 0  # ROS time less steady time; 0: not known yet
        self.set_back = 0  # by so much ROS time is behind ours

    def follow(self, steady: int, ros: int) -> None:
        """It is this moment now, by both clocks."""
        offset = ros - steady
        if not self.offset or offset > self.offset + _TOLERANCE:
            self.offset = offset
        behind = self.offset - offset
        self.set_back = behind if behind > _TOLERANCE else 0

    def ros_time(self, steady: int) -> int:
        """The ROS time of a moment."""
        return steady + self.offset


def read_clocks() -> tuple[int, int]:
    """Steady and ROS time of one moment, ns."""
    # Whoever is interrupted between two looks takes others.
    looks = ((time.monotonic_ns(), time.time_ns(), time.monotonic_ns()) for _ in range(_TRIES))
    before, ros, after = min(looks, key=lambda look: look[2] - look[0])
    return (before + after) // 2, ros
