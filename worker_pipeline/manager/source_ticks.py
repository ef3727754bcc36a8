# SPDX-License-Identifier: Apache-2.0
"""The ticks of a source: its period in real or simulated time, and the clocks that are read."""

from __future__ import annotations

from typing import Any

from rclpy.clock import Clock, ClockType

from worker_pipeline.core.ros_time import RosTime
from worker_pipeline.core.stage_dispatcher import StageDispatcher
from worker_pipeline.manager.outbox import Outbox
from worker_pipeline.ros.lifecycle import ManagedNode
from worker_pipeline.ros.tick import read_clocks, tick_at


class SourceTicks:
    """Asks a source for items: every period of ROS time, or as fast as its workers take them.

    Args:
        node: the stage's.
        stage: its dispatcher.
        outbox: commits each tick as an event.
        ros_time: the pipeline's.
    """

    def __init__(
        self, node: ManagedNode, stage: StageDispatcher, outbox: Outbox, ros_time: RosTime
    ) -> None:
        self._node = node
        self._stage = stage
        self._outbox = outbox
        self._ros_time = ros_time
        self._timer: Any = None

    def open(self) -> None:
        """Start the timer of a source with a period."""
        if self._stage.policy.is_source and self._stage.policy.period > 0:
            # Not the node's clock: where the system's is set back, its timers would wait for it.
            steady = Clock(clock_type=ClockType.STEADY_TIME)
            self._timer = self._node.create_timer(
                self._stage.policy.period, self._on_period, clock=steady
            )

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
            self._timer = None

    def _on_period(self) -> None:
        if not self._ros_time.is_simulated:  # else /clock says when a period is over
            with self._outbox:
                self._stage.period_elapsed()

    def tick(self, now: float) -> None:
        """Ask the source for an item of this moment. ``now``: s."""
        ros: int | None
        steady: int | None
        if self._ros_time.is_simulated:
            ros, steady = self._ros_time.time, None
        else:
            ros, steady = read_clocks(self._node.get_clock())
        self._stage.tick(tick_at, ros or 0, steady, now)
