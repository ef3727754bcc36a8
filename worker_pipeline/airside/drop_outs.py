"""What a stage could do nothing with: counted by reason, and logged now and then."""

from __future__ import annotations

import logging
import math
from collections import Counter

from worker_pipeline.status import StageStatus

LOG_PERIOD = 5.0  # s, between two lines for the same reason


class DropOuts:
    """Tells in a stage's status how many dropped out and why, under keys ``<what>_<reason>``.

    The status warns while the newest item had some. The log has a line for each reason, at most one
    in ``LOG_PERIOD``, with how many there were since the one before.
    """

    def __init__(self, what: str, status: StageStatus, logger: logging.Logger) -> None:
        self._what = what
        self._status = status
        self._logger = logger
        self._logged: dict[str, float] = {}  # s
        self._unlogged: Counter[str] = Counter()

    def tell(self, counts: Counter[str], total: int, detail: str, now: float) -> None:
        """So many ``total`` detections of an item, of which so many dropped out for each reason.

        ``detail``: what the log says besides. ``now``: s, of a clock that never jumps.
        """
        dropped = +counts
        if not dropped:
            self._status.ok()
            return
        reasons = ', '.join(f'{reason} {count}' for reason, count in sorted(dropped.items()))
        self._status.warn(f'{self._what}: {dropped.total()} of {total}: {reasons}')
        for reason, count in dropped.items():
            self._status.count(f'{self._what}_{reason}', count)
            self._unlogged[reason] += count
            if now - self._logged.get(reason, -math.inf) >= LOG_PERIOD:
                so_many = self._unlogged.pop(reason)
                text = f'{self._what}: {so_many} detections: {reason}'
                self._logger.warning('%s', f'{text}: {detail}' if detail else text)
                self._logged[reason] = now
