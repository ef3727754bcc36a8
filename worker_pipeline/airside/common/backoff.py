# SPDX-License-Identifier: Apache-2.0
"""The pause before the next attempt."""

from __future__ import annotations


class Backoff:
    """A pause that doubles each time, from ``first`` up to ``longest`` seconds."""

    def __init__(self, first: float = 0.1, longest: float = 5.0) -> None:
        self._first = self._next = first
        self._longest = longest

    def next(self) -> float:
        """Return the pause to make now, s."""
        now = self._next
        self._next = min(2 * now, self._longest)
        return now

    def reset(self) -> None:
        """Start again with the first pause, after a success."""
        self._next = self._first
