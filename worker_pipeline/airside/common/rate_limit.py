# SPDX-License-Identifier: Apache-2.0
"""How often something may be done, or told."""

from __future__ import annotations

import math
from collections import Counter


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


class CountingLimit:
    """Counts events by cause; each cause is told at most once in ``period`` seconds.

    ``told``: the causes that were, and when, s.
    """

    def __init__(self, period: float) -> None:
        self._period = period
        self.told: dict[str, float] = {}
        self._untold: Counter[str] = Counter()

    def note(self, cause: str, now: float, count: int = 1) -> int:
        """Count events; return how many there were since the last time, if they are to be told.

        Args:
            cause: Their cause.
            now: s, of a steady clock.
            count: How many.
        """
        self._untold[cause] += count
        if now - self.told.get(cause, -math.inf) < self._period:
            return 0
        self.told[cause] = now
        return self._untold.pop(cause)
