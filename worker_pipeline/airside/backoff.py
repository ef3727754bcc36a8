"""How long to wait before the next attempt."""

from __future__ import annotations


class Backoff:
    """Twice as long each time, from ``first`` to ``longest`` seconds."""

    def __init__(self, first: float = 0.1, longest: float = 5.0) -> None:
        self._first = self._next = first
        self._longest = longest

    def next(self) -> float:
        """How long to wait now, s."""
        now = self._next
        self._next = min(2 * now, self._longest)
        return now

    def reset(self) -> None:
        """It worked."""
        self._next = self._first
