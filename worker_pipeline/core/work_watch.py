"""Whether a worker gets on with its items."""

from __future__ import annotations

from typing import Protocol

NANOSECONDS = 1e9


class Progress(Protocol):
    """What a worker shows of its work."""

    @property
    def in_work(self) -> int:
        """The number of the item in work; 0: none."""

    @property
    def since(self) -> int:
        """Since when it is, in ns of the monotonic clock."""

    @property
    def done(self) -> int:
        """How many items were ended."""


class WorkWatch:
    """Finds an item that takes too long, and a worker that does nothing with what it holds."""

    def __init__(self) -> None:
        self._seen = (0, 0)
        self._idle_since: float | None = None
        self._excused = 0.0

    def overdue(self, progress: Progress, holds: int, now: float, timeout: float) -> str:
        """What is wrong, or nothing. ``holds``: how many items it has not answered; s."""
        seen = progress.in_work, progress.done
        if seen != self._seen:
            self._seen = seen
            self._idle_since = None
            self._excused = 0.0
        if progress.in_work:
            if now - progress.since / NANOSECONDS - self._excused > timeout:
                return f'an item took longer than {timeout:g} s'
            return ''
        if not holds:
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = now
            self._excused = 0.0
        elif now - self._idle_since - self._excused > timeout:
            return f'it holds {holds} items and began none for {timeout:g} s'
        return ''

    def excuse(self, seconds: float) -> None:
        """For so long nobody could look."""
        self._excused += seconds
