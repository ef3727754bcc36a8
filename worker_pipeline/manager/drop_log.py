# SPDX-License-Identifier: Apache-2.0
"""Logging how many items a stage has dropped, and why."""

from __future__ import annotations

from typing import Any

PERIOD = 1.0  # s


class DropLog:
    """Logs drops since the last report, in one line a second for each reason.

    Args:
        logger: of the stage's node.
        frame_memory: MB that all frames may take, as configured.
    """

    def __init__(self, logger: Any, frame_memory: float) -> None:
        self._logger = logger
        self._frame_memory = frame_memory
        self._reported = {'queue': 0, 'memory': 0}
        self._reported_at = dict.fromkeys(self._reported, float('-inf'))  # s

    def exclude(self, flushed: int) -> None:
        """Leave out items that were dropped because a flush was requested."""
        self._reported['queue'] += flushed

    def report(self, dropped: int, for_memory: int, queue_size: int, now: float) -> None:
        """Log what is new.

        Args:
            dropped: how many items the stage has dropped in all.
            for_memory: how many of them to make room in frame memory.
            queue_size: of the stage, as configured now.
            now: s.
        """
        if dropped == sum(self._reported.values()):
            return
        count = self._unreported('queue', dropped - for_memory, now)
        if count:
            self._logger.warning(
                f'dropped {count} items: the queue was full (queue_size: {queue_size})'
            )
        count = self._unreported('memory', for_memory, now)
        if count:
            self._logger.warning(
                f'dropped {count} items: frame memory was full '
                f'(frame_memory: {self._frame_memory:g} MB)'
            )

    def _unreported(self, reason: str, total: int, now: float) -> int:
        """Return how many to report now; 0 within a second after the last report."""
        count = total - self._reported[reason]
        if not count or now - self._reported_at[reason] < PERIOD:
            return 0
        self._reported[reason], self._reported_at[reason] = total, now
        return count
