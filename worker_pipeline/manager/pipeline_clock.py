# SPDX-License-Identifier: Apache-2.0
"""ROS time for a whole pipeline: when its sources start, and when it starts over.

Only the stamps of sources follow ROS time. Heartbeats, timeouts and restarts use the steady clock.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from worker_pipeline.manager.services import PipelineServices
from worker_pipeline.manager.stage_node import StageNode
from worker_pipeline.ros.lifecycle import ManagedNode
from worker_pipeline.ros.sim_clock import SimClock

NANOSECONDS = 1e9


class PipelineClock:
    """Starts the sources once there is a ROS time, and begins a new run where it is set back.

    Args:
        node: the manager's, which follows ``/clock``.
        services: shared by the stages.
        stages: the stages' nodes by name.
    """

    def __init__(
        self, node: ManagedNode, services: PipelineServices, stages: Mapping[str, StageNode]
    ) -> None:
        self._clock = node.get_clock()
        self._logger = node.get_logger()
        self._dispatcher = services.dispatcher
        self._outbox = services.outbox
        self._ros_time = services.ros_time
        self._stages = stages
        self._sources = [each for each in stages.values() if each.dispatcher.policy.is_source]
        self._may_start = False  # whether every stage has an active worker
        self._sim_clock = SimClock(node, self.clock_received)

    def open(self) -> None:
        """Follow ``/clock`` if ROS time is simulated. After the state of an earlier manager."""
        simulated = self._ros_time.is_simulated
        lasts = [each.dispatcher.source.last for each in self._sources]
        for stage in self._sources:
            source = stage.dispatcher.source
            if source.is_simulated != simulated:
                source.reset()  # it was started in another kind of time
            source.is_simulated = simulated
        self._dispatcher.runs.may_restart = simulated
        if simulated and any(lasts):
            self._ros_time.resume(max(lasts))
        self._sim_clock.follow(is_simulated=simulated)

    def start_sources(self) -> None:
        """Start all sources at one moment, so that equal stamps are of the same moment.

        With simulated time that is the first time that ``/clock`` shows.
        """
        self._may_start = True
        if not self._ros_time.is_known:
            if self._sources:
                self._logger.warning('waiting for /clock: use_sim_time is true')
            return
        now = self._ros_time.time if self._ros_time.is_simulated else self._system_time()
        for stage in self._sources:
            stage.start_stream(now or 0)

    def _system_time(self) -> int:
        return int(self._clock.now().nanoseconds)

    # -- simulated time --------------------------------------------------------------------------

    def clock_received(self, ros: int) -> None:
        """Handle a time shown by ``/clock``, ns."""
        now = time.monotonic()
        update = self._ros_time.clock_received(ros, now)
        if update.started:
            self._logger.info(f'/clock shows {_seconds(ros)}')
        if update.set_back_from is not None:
            before = update.set_back_from
            self._begin_run(
                f'/clock was set back from {_seconds(before)} to {_seconds(ros)}', before, ros
            )
        if update.started and self._may_start:
            self.start_sources()
        if update.advanced:
            self._dispatcher.runs.time = ros
            for stage in self._sources:
                with self._outbox:
                    stage.dispatcher.clock_advanced(ros)

    def set_simulated(self, *, is_simulated: bool) -> None:
        """Change where ROS time comes from, for every node of the pipeline."""
        if is_simulated == self._ros_time.is_simulated:
            return
        self._ros_time.set_simulated(time.monotonic(), is_simulated=is_simulated)
        self._dispatcher.runs.may_restart = is_simulated
        for stage in self._stages.values():
            stage.follow_time(is_simulated=is_simulated)
        for stage in self._sources:
            stage.dispatcher.source.reset()
            stage.dispatcher.source.is_simulated = is_simulated
        self._begin_run(f'use_sim_time was set to {str(is_simulated).lower()}')
        self._sim_clock.follow(is_simulated=is_simulated)
        if self._may_start:
            self.start_sources()

    # -- runs ------------------------------------------------------------------------------------

    def new_run(self) -> int:
        """Begin a new run, in which stamps of earlier ones are new items; return its number."""
        return self._begin_run('a new run was requested')

    def _begin_run(self, why: str, before: int | None = None, after: int | None = None) -> int:
        with self._outbox:
            if after is not None:
                self._dispatcher.runs.time = after
            number = self._dispatcher.begin_run(time.monotonic(), before)
            for stage in self._sources:
                if after is not None and stage.dispatcher.source.epoch is not None:
                    stage.dispatcher.restart_stream(after)
        self._logger.info(f'{why}: run {number} begins, in which stamps may come again')
        return number

    def tick(self, now: float) -> None:
        """Refuse the duplicates that no new run has followed. ``now``: s."""
        for stage in self._stages.values():
            if stage.dispatcher.repeated.has_kept:
                with self._outbox:
                    stage.dispatcher.refuse_overdue(now)

    # -- what is told of it ----------------------------------------------------------------------

    def problem(self, now: float) -> str:
        """Return what is wrong with ROS time, '' if nothing is. ``now``: s."""
        return self._ros_time.problem(now)

    def values(self, now: float) -> dict[str, Any]:
        """Return the values for ``/diagnostics``. ``now``: s."""
        simulated = self._ros_time.is_simulated
        known = self._ros_time.time if simulated else self._system_time()
        return {
            'ros_time': self._ros_time.state(now).value,
            'ros_time_s': '' if known is None else f'{known / NANOSECONDS:.3f}',
            'run': self._dispatcher.runs.number,
        }


def _seconds(ros: int) -> str:
    return f'{ros / NANOSECONDS:.3f} s'
