"""The clocks of this machine."""

from __future__ import annotations

import time

_TRIES = 5


def read_clocks() -> tuple[int, int]:
    """Steady and ROS time of one moment, ns."""
    # Whoever is interrupted between two looks takes others.
    looks = ((time.monotonic_ns(), time.time_ns(), time.monotonic_ns()) for _ in range(_TRIES))
    before, ros, after = min(looks, key=lambda look: look[2] - look[0])
    return (before + after) // 2, ros
