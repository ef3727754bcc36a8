# SPDX-License-Identifier: Apache-2.0
"""Log lines about items that a stage cannot read: one for each cause, and one a minute after."""

from __future__ import annotations

import logging

from worker_pipeline.airside.common.rate_limit import CountingLimit

LOG_PERIOD = 60.0  # s, between two lines about the same cause
_MAX_CAUSES = 20  # who sends nonsense may send it in any number of kinds


class RefusalLog:
    """Logs the first item of a cause at once, and then how many there were, once a minute.

    Args:
        logger: The stage's logger.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._limit = CountingLimit(LOG_PERIOD)

    def record(self, cause: str, text: str, now: float) -> None:
        """Record an item.

        Args:
            cause: What kind of fault it has; the same for a whole stream.
            text: What is logged of it.
            now: s, of a steady clock.
        """
        if cause not in self._limit.told and len(self._limit.told) >= _MAX_CAUSES:
            cause = 'others'
        is_first = cause not in self._limit.told
        if count := self._limit.note(cause, now):
            self._logger.warning('%s', text if is_first else f'{text} ({count} in the last minute)')
