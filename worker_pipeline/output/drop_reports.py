# SPDX-License-Identifier: Apache-2.0
"""What is logged of the workers' output that was dropped."""

from __future__ import annotations

from collections.abc import Mapping

from worker_pipeline.output.rate_limit import BYTES_PER_SECOND, LINES_PER_SECOND

# How often dropped output of a worker is logged, s.
LOG_INTERVAL = 10.0


class DropReports:
    """Tells of each worker's dropped lines, now and then."""

    def __init__(self) -> None:
        self._logged: dict[str, int] = {}  # lines by worker
        self._log_again_at: dict[str, float] = {}  # s

    def due(self, dropped: Mapping[str, int], now: float) -> list[str]:
        """Return what is to be logged.

        Args:
            dropped: How many lines were dropped so far, by worker; those of '' are no worker's.
            now: s.
        """
        reports = []
        for label, count in dropped.items():
            more = count - self._logged.get(label, 0)
            if label and more and now >= self._log_again_at.get(label, 0.0):
                self._logged[label] = count
                self._log_again_at[label] = now + LOG_INTERVAL
                reports.append(
                    f'{label}: dropped {more} lines of its output: allowed are '
                    f'{LINES_PER_SECOND:g} lines and {BYTES_PER_SECOND / 1e3:g} kB per second'
                )
        return reports
