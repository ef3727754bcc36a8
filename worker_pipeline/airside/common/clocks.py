# SPDX-License-Identifier: Apache-2.0
"""The clocks of this machine."""

from __future__ import annotations

import time

_READINGS = 5


def read_steady_and_ros_time() -> tuple[int, int]:
    """Return the steady time and the ROS time of the same moment, ns."""
    # A reading that was interrupted spans a longer time: use the shortest of several.
    readings = (
        (time.monotonic_ns(), time.time_ns(), time.monotonic_ns()) for _ in range(_READINGS)
    )
    before, ros, after = min(readings, key=lambda each: each[2] - each[0])
    return (before + after) // 2, ros
