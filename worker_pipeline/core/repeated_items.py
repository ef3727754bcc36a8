# SPDX-License-Identifier: Apache-2.0
"""The items that a stage refused as duplicates, and what that looks like.

A message that is delivered twice is one duplicate. Many in a row, with stamps that are not newer
than those before, are a recording that is played a second time.
"""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

# Refusals this long apart are not the same incident, s.
INCIDENT_GAP = 3.0
# A message of a new run may come this long before /clock shows that ROS time was set back, s.
CLOCK_DELAY = 1.0


class RefusedItem(NamedTuple):
    """An item with a stamp that its stage has had already."""

    source: str  # the input it came by
    stamp: int  # ns
    payload: Any
    arrived_at: float  # s


class RepeatedItems:
    """Counts the refused duplicates of one incident; keeps them where a new run may follow.

    Args:
        capacity: how many are kept.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.count = 0  # of this incident
        self.newest = -1  # the newest stamp that the stage has had, ns
        self._first_at = self._last_at = float('-inf')
        self._kept: deque[RefusedItem] = deque()

    def refused(self, now: float) -> None:
        """Count a refused item. ``now``: s."""
        if now - self._last_at > INCIDENT_GAP:
            self.count, self._first_at = 0, now
        self.count += 1
        self._last_at = now

    def keep(self, item: RefusedItem) -> None:
        """Keep an item that may turn out to be the first of a new run."""
        self._kept.append(item)

    @property
    def has_kept(self) -> bool:
        """Return whether any are kept."""
        return bool(self._kept)

    def overdue(self, now: float) -> list[RefusedItem]:
        """Return the kept items that no new run has followed in time; they are duplicates."""
        result = []
        while self._kept and (
            len(self._kept) > self.capacity or now - self._kept[0].arrived_at > CLOCK_DELAY
        ):
            result.append(self._kept.popleft())
        return result

    def take_kept(self) -> list[RefusedItem]:
        """Return all kept items: a new run has begun, so they are new."""
        kept = list(self._kept)
        self._kept.clear()
        self.count = 0
        self.newest = -1
        self._last_at = float('-inf')
        return kept

    def since(self, now: float) -> float | None:
        """Return how long the present incident has lasted, s; None without one."""
        return now - self._first_at if now - self._last_at <= INCIDENT_GAP else None
