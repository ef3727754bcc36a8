# SPDX-License-Identifier: Apache-2.0
"""The times in which no worker of a stage was active."""

from __future__ import annotations


class ActivityGap:
    """Measures each period in which a stage that should work had no active worker."""

    def __init__(self) -> None:
        self.last = 0.0  # the length of the last one that has ended, s
        self.total = 0.0  # of all that have ended, s
        self.ended_at = float('-inf')
        self._since: float | None = None
        self._has_begun = False  # the stage has had an active worker since it was activated

    def update(self, active: int, now: float, *, is_wanted: bool) -> float:
        """Note how many workers are active. Returns the length of a gap that has just ended, s.

        Args:
            active: how many.
            now: s.
            is_wanted: whether the stage should have active workers; not so while it is paused.
        """
        if not is_wanted:
            self._since, self._has_begun = None, False
            return 0.0
        if not active:
            if self._has_begun and self._since is None:
                self._since = now
            return 0.0
        self._has_begun = True
        if self._since is None:
            return 0.0
        self.last, self._since, self.ended_at = now - self._since, None, now
        self.total += self.last
        return self.last
