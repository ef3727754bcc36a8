# SPDX-License-Identifier: Apache-2.0
"""The time limit for an item, and for a worker that does not start the items it holds."""

from __future__ import annotations

from typing import Protocol

NANOSECONDS = 1e9


class Progress(Protocol):
    """The items in a worker's liveness record."""

    @property
    def active_item(self) -> int:
        """Return the number of the item being processed; 0: none."""

    @property
    def active_since(self) -> int:
        """Return when its processing started, in ns of the monotonic clock."""

    @property
    def finished_items(self) -> int:
        """Return how many items have been processed."""


class TaskTimeout:
    """Detects an item that takes too long, and a worker that does not start the items it holds."""

    def __init__(self) -> None:
        self._seen = (0, 0)
        self._idle_since: float | None = None
        self._grace = 0.0

    def check(self, progress: Progress, in_flight: int, now: float, timeout: float) -> str:
        """Return which limit was exceeded, '' if none.

        Args:
            progress: of the worker.
            in_flight: how many items it has not answered.
            now: the time on the monotonic clock, s.
            timeout: the limit, s.
        """
        seen = progress.active_item, progress.finished_items
        if seen != self._seen:
            self._seen = seen
            self._idle_since = None
            self._grace = 0.0
        if progress.active_item:
            if now - progress.active_since / NANOSECONDS - self._grace > timeout:
                return f'an item took longer than {timeout:g} s'
            return ''
        if not in_flight:
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = now
            self._grace = 0.0
        elif now - self._idle_since - self._grace > timeout:
            return f'it holds {in_flight} items and started none for {timeout:g} s'
        return ''

    def extend_deadlines(self, seconds: float) -> None:
        """Shift the deadlines by the time for which the manager itself was held up."""
        self._grace += seconds
