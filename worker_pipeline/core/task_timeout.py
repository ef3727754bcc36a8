# SPDX-License-Identifier: Apache-2.0
"""The time limit for an item, and for a worker that does not start the items it holds."""

from __future__ import annotations

from typing import Protocol

from worker_pipeline.core.hold_up import ROUNDING

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
        # The pauses, of the manager or of the worker: beginnings and ends, s. They do not overlap.
        self._pauses: list[tuple[float, float]] = []

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
        if progress.active_item:
            if self._elapsed(progress.active_since / NANOSECONDS, now) > timeout:
                return f'an item took longer than {timeout:g} s'
            return ''
        if not in_flight:
            self._idle_since = None
            self._pauses.clear()  # what it is given later begins later
        elif self._idle_since is None:
            self._idle_since = now
        elif self._elapsed(self._idle_since, now) > timeout:
            return f'it holds {in_flight} items and started none for {timeout:g} s'
        return ''

    def _elapsed(self, since: float, now: float) -> float:
        """Return the time since then, without the pauses, s."""
        self._pauses = [each for each in self._pauses if each[1] > since]
        return now - since - sum(end - max(begin, since) for begin, end in self._pauses)

    def extend_deadlines(self, seconds: float, now: float) -> None:
        """Leave a pause out. If it was the manager that could do nothing, so could the worker.

        Args:
            seconds: how long it has lasted until now. No time is counted twice.
            now: the time on the monotonic clock, s.
        """
        begin = now - seconds
        if self._pauses and begin <= self._pauses[-1][1] + ROUNDING:
            begin, _ = self._pauses.pop()  # it goes on
        self._pauses.append((begin, now))
