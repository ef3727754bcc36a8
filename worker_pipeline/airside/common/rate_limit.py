# SPDX-License-Identifier: Apache-2.0
"""How often something may be done."""

from __future__ import annotations

import math


class RateLimit:
    """Allows something at most once in ``period`` seconds."""

    def __init__(self, period: float) -> None:
        self._period = period
        self._last = -math.inf

    def is_due(self, now: float) -> bool:
        """Return whether it may be done now, which then counts as done. ``now``: s."""
        if now - self._last < self._period:
            return False
        self._last = now
        return True
