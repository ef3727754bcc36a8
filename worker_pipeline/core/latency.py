# SPDX-License-Identifier: Apache-2.0
"""The latency and rate of a stage, from a bounded number of its last items."""

from __future__ import annotations

from collections import deque


class LatencyWindow:
    """The times from acceptance to delivery of the last items, s."""

    def __init__(self, items: int = 1000) -> None:
        self._seconds: deque[float] = deque(maxlen=items)
        self._total = 0
        self._rate_from: tuple[float, int] | None = None

    def add(self, seconds: float) -> None:
        """Add the latency of one delivery, s."""
        self._seconds.append(seconds)
        self._total += 1

    def percentile(self, percent: float) -> float:
        """Return a percentile by the nearest-rank method, s; 0.0 before the first delivery."""
        if not self._seconds:
            return 0.0
        ordered = sorted(self._seconds)
        rank = -(-len(ordered) * percent // 100)  # ceiling
        return ordered[max(0, int(rank) - 1)]

    def rate(self, now: float) -> float:
        """Return the deliveries per second since the last call; 0.0 at the first."""
        since, before = self._rate_from or (now, self._total)
        self._rate_from = (now, self._total)
        elapsed = now - since
        return (self._total - before) / elapsed if elapsed > 0 else 0.0
