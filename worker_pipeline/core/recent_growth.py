"""By how much counters have grown lately."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable


class RecentGrowth:
    """Keeps the values that counters had in the last ``window`` seconds."""

    def __init__(self, window: float) -> None:
        self._window = window
        self._kept: dict[Hashable, deque[tuple[float, float]]] = {}

    def of(self, name: Hashable, value: float, now: float) -> tuple[float, float]:
        """By how much a counter, which is ``value`` now, has grown, and in what time, s.

        (0, 0) for one that is new. The time is that of the window, or one call longer, as soon as
        the counter has been known for that long.
        """
        kept = self._kept.setdefault(name, deque())
        kept.append((now, value))
        while len(kept) > 2 and kept[1][0] <= now - self._window:
            kept.popleft()
        since, before = kept[0]
        return value - before, now - since

    def forget(self, now: float) -> None:
        """Forget the counters that nobody has asked for within the window."""
        for name in [key for key, kept in self._kept.items() if now - kept[-1][0] > self._window]:
            del self._kept[name]
