# SPDX-License-Identifier: Apache-2.0
"""Pauses from outside: the manager, its workers or the machine stand still, and nobody dies of it.

A process can be stopped (SIGSTOP), held by a debugger, or frozen with its control group, as by
``docker pause``; a virtual machine can be stopped, a computer suspended.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from worker_pipeline.core.hold_up import HoldUp, HoldUps
from worker_pipeline.core.pause import Pause
from worker_pipeline.manager.output_publisher import REMATCH_AFTER
from worker_pipeline.manager.stage_node import StageNode
from worker_pipeline.system.clocks import boottime
from worker_pipeline.system.halts import is_held
from worker_pipeline.system.proc import is_stopped

# Hold-ups that are logged, s. A loaded machine causes shorter ones.
LOGGED_FROM = 1.0
# How long one is reported in ``/diagnostics``, s.
RECENT = 3.0


class Pauses:
    """Extends the deadlines of a pipeline's workers by the pauses.

    Args:
        stages: the stages' nodes by name.
        heartbeat_timeout: s.
        period: s between two ticks.
        logger: of the manager.
    """

    def __init__(
        self, stages: Mapping[str, StageNode], heartbeat_timeout: float, period: float, logger: Any
    ) -> None:
        self._stages = stages
        self._logger = logger
        self._hold_ups = HoldUps(period, time.monotonic(), boottime())
        self._pause = Pause(heartbeat_timeout, is_stopped, is_held)
        self._last, self._ended_at = 0.0, float('-inf')
        self.total = 0.0  # for how long the manager has stood still so far, s

    def tick(self, now: float) -> HoldUp:
        """Excuse whoever was paused, before anyone is judged. Returns the manager's own hold-up."""
        hold_up = self._hold_ups.tick(now, boottime())
        if hold_up.seconds:
            for stage in self._stages.values():
                # The heartbeats of that time have not been read yet.
                stage.workers.extend_deadlines(hold_up.seconds, now)
            self._pause.held_up(hold_up.seconds, now)
        if hold_up.total >= LOGGED_FROM:
            self._report(hold_up, now)
        silences: dict[int, float] = {}
        for stage in self._stages.values():
            silences |= stage.workers.silences(now)
        excused = self._pause.update(silences, now)
        if excused:
            for stage in self._stages.values():
                stage.workers.excuse(excused, now)
        for is_warning, text in self._pause.messages:
            if is_warning:
                self._logger.warning(text)
            else:
                self._logger.info(text)  # rclpy allows each line of code one severity
        self._pause.messages.clear()
        return hold_up

    def _report(self, hold_up: HoldUp, now: float) -> None:
        self._last, self._ended_at = hold_up.total, now
        self.total += hold_up.total
        text = f'stood still for {hold_up.total:.1f} s: stopped, frozen, or on a suspended machine'
        if hold_up.total > REMATCH_AFTER:
            text += (
                '. Publishers and subscribers outside may have taken it for dead: what they '
                'published meanwhile may be lost, outputs wait for them'
            )
        self._logger.warning(text)

    def problem(self, now: float) -> str:
        """Return that there has just been a pause, '' if not. ``now``: s."""
        return f'stood still for {self._last:.1f} s' if now - self._ended_at < RECENT else ''

    def values(self) -> dict[str, str]:
        """Return the values for ``/diagnostics``."""
        return {'held_up_s': f'{self.total:.1f}'}
