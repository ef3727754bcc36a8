# SPDX-License-Identifier: Apache-2.0
"""Finds out whether a worker stood still for so long that others may have forgotten it.

Then it may not get a context from outside any more (:mod:`worker_pipeline.core.absence`). Its
manager replaces it: another process has a new participant.
"""

from __future__ import annotations

import time

from worker_pipeline.core.absence import Absence
from worker_pipeline.core.hold_up import HoldUps
from worker_pipeline.ros import dds
from worker_pipeline.system.clocks import boottime


class AbsenceReport:
    """Looks at the times of the heartbeats.

    Args:
        settings: How the process communicates; None: as the user has chosen.
        period: s between two heartbeats.
    """

    def __init__(self, settings: dds.Settings | None, period: float) -> None:
        lease = dds.lease_of(settings.worker if settings is not None else None)
        self._absence = Absence(lease, is_reachable=dds.is_reachable(settings))
        self._hold_ups = HoldUps(period, time.monotonic(), boottime())
        self._longest = 0.0
        self._is_forgotten = False

    def tick(self) -> None:
        """Look; to be called with each heartbeat."""
        now = time.monotonic()
        hold_up = self._hold_ups.tick(now, boottime())
        self._longest = max(self._longest, hold_up.total)
        if self._absence.tick(hold_up, time.process_time(), now):
            self._is_forgotten = True

    def values(self) -> dict[str, str]:
        """Return for how long it stood still, for the worker's status, if that was too long."""
        return {'absent_s': f'{self._longest:.1f}'} if self._is_forgotten else {}
