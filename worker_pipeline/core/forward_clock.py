"""ROS time that goes on where the system's is set back."""

from __future__ import annotations

# The two clocks run at one speed; between two looks at them a moment passes, ns.
_TOLERANCE = 1_000_000


class ForwardClock:
    """ROS time of moments of the steady clock, as CLOCK_MONOTONIC and V4L2 have it; all in ns.

    Two moments keep their order and, but where ROS time is set forward, the time between them.
    Where it is set back, as by NTP, the time from before goes on.
    """

    def __init__(self) -> None:
        self.offset = 0  # ROS time less steady time; 0: not known yet
        self.set_back = 0  # by so much ROS time is behind ours

    def follow(self, steady: int, ros: int) -> None:
        """It is this moment now, by both clocks. Where one is read first, let it be ROS time."""
        offset = ros - steady
        if not self.offset or offset > self.offset + _TOLERANCE:
            self.offset = offset
        behind = self.offset - offset
        self.set_back = behind if behind > _TOLERANCE else 0

    def ros_time(self, steady: int) -> int:
        """The ROS time of a moment."""
        return steady + self.offset
