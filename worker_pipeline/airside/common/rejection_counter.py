# SPDX-License-Identifier: Apache-2.0
"""Items that a stage rejects: counted by reason, and logged at a limited rate."""

from __future__ import annotations

import logging
from collections import Counter

from worker_pipeline.airside.common.rate_limit import CountingLimit
from worker_pipeline.status import StageStatus

LOG_PERIOD = 5.0  # s, between two log lines for the same reason


class RejectionCounter:
    """Counts rejected detections in the stage's status, under the keys ``<what>_<reason>``.

    The status is a warning while the newest item had rejections. The log has at most one line per
    reason in ``LOG_PERIOD``, with the number since the line before.

    Args:
        what: The prefix of the keys, such as ``unmerged``.
        status: The stage's status.
        logger: The stage's logger.
    """

    def __init__(self, what: str, status: StageStatus, logger: logging.Logger) -> None:
        self._what = what
        self._status = status
        self._logger = logger
        self._limit = CountingLimit(LOG_PERIOD)

    def record(self, counts: Counter[str], total: int, detail: str, now: float) -> None:
        """Record how many of an item's detections were rejected for each reason.

        Args:
            counts: Rejected detections by reason.
            total: All detections of the item.
            detail: Additional text for the log.
            now: s, of a steady clock.
        """
        dropped = +counts
        if not dropped:
            self._status.ok()
            return
        reasons = ', '.join(f'{reason} {count}' for reason, count in sorted(dropped.items()))
        self._status.warn(f'{self._what}: {dropped.total()} of {total}: {reasons}')
        for reason, count in dropped.items():
            self._status.count(f'{self._what}_{reason}', count)
            if so_many := self._limit.note(reason, now, count):
                text = f'{self._what}: {so_many} detections: {reason}'
                self._logger.warning('%s', f'{text}: {detail}' if detail else text)
