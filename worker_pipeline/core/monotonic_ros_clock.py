# SPDX-License-Identifier: Apache-2.0
"""ROS time that never goes back."""

from __future__ import annotations

# Between reading one clock and reading the other some time passes, ns.
_TOLERANCE = 1_000_000


class MonotonicRosClock:
    """Converts times of the steady clock (CLOCK_MONOTONIC, as of V4L2) to ROS time; all in ns.

    The converted times keep their order and their distances. If ROS time is set back, as by NTP,
    they continue from the time before; only if it is set forward do they jump.
    """

    def __init__(self) -> None:
        self.offset = 0  # ROS time minus steady time; 0: not known yet
        self.set_back = 0  # how far ROS time is behind the converted time

    def update(self, steady: int, ros: int) -> None:
        """Set the time now by both clocks; the caller should read ``ros`` before ``steady``."""
        offset = ros - steady
        if not self.offset or offset > self.offset + _TOLERANCE:
            self.offset = offset
        behind = self.offset - offset
        self.set_back = behind if behind > _TOLERANCE else 0

    def ros_time(self, steady: int) -> int:
        """Return the ROS time of a time of the steady clock."""
        return steady + self.offset
