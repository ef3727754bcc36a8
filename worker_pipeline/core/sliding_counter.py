# SPDX-License-Identifier: Apache-2.0
"""The recent growth of counters."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable


class SlidingCounter:
    """Keeps the values of counters over the last ``window`` seconds."""

    def __init__(self, window: float) -> None:
        self._window = window
        self._kept: dict[Hashable, deque[tuple[float, float]]] = {}

    def delta(self, name: Hashable, value: float, now: float) -> tuple[float, float]:
        """Add the value of a counter, and return its growth and over which time.

        Args:
            name: of the counter.
            value: its value now.
            now: the time, s.

        Returns:
            The growth since the oldest value that is kept, and the time since then, s: the window
            or up to one call longer, once the counter is older than that. (0, 0) for a new one.
        """
        kept = self._kept.setdefault(name, deque())
        kept.append((now, value))
        while len(kept) > 2 and kept[1][0] <= now - self._window:
            kept.popleft()
        since, before = kept[0]
        return value - before, now - since

    def forget(self, now: float) -> None:
        """Remove the counters that had no value within the window."""
        for name in [key for key, kept in self._kept.items() if now - kept[-1][0] > self._window]:
            del self._kept[name]
