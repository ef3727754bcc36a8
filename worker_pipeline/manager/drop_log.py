# SPDX-License-Identifier: Apache-2.0
"""Logging how many items a stage has dropped, and why."""

from __future__ import annotations

from typing import Any


class DropLog:
    """Logs drops since the last report, in one line for each reason.

    Args:
        logger: of the stage's node.
        frame_memory: MB that all frames may take, as configured.
    """

    def __init__(self, logger: Any, frame_memory: float) -> None:
        self._logger = logger
        self._frame_memory = frame_memory
        self._reported = 0
        self._reported_for_memory = 0

    def exclude(self, flushed: int) -> None:
        """Leave out items that were dropped because a flush was requested."""
        self._reported += flushed

    def report(self, dropped: int, for_memory: int, queue_size: int) -> None:
        """Log what is new.

        Args:
            dropped: how many items the stage has dropped in all.
            for_memory: how many of them to make room in frame memory.
            queue_size: of the stage, as configured now.
        """
        if dropped == self._reported:
            return
        of_memory = for_memory - self._reported_for_memory
        of_queue = dropped - self._reported - of_memory
        self._reported, self._reported_for_memory = dropped, for_memory
        if of_queue:
            self._logger.warning(
                f'dropped {of_queue} items: the queue was full (queue_size: {queue_size})',
                throttle_duration_sec=1.0,
            )
        if of_memory:
            self._logger.warning(
                f'dropped {of_memory} items: frame memory was full '
                f'(frame_memory: {self._frame_memory:g} MB)',
                throttle_duration_sec=1.0,
            )
