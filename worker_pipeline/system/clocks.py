# SPDX-License-Identifier: Apache-2.0
"""Clocks of the system that ``time.monotonic`` does not show."""

from __future__ import annotations

import time


def boottime() -> float:
    """Return the time on the clock that runs on while the machine is suspended, s."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
