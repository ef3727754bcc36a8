# SPDX-License-Identifier: Apache-2.0
"""The subscription to ``/clock``, which shows simulated time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from rosgraph_msgs.msg import Clock

from worker_pipeline.context import stamp_ns
from worker_pipeline.ros.subscription_status import NO_CALLBACKS

CLOCK_TOPIC = '/clock'
USE_SIM_TIME = 'use_sim_time'


class SimClock:
    """Passes on each time that ``/clock`` shows, while it is followed.

    A node's own clock shows 0 both before the first message and at a time of 0.

    Args:
        node: subscribes.
        on_time: called with each ROS time, ns.
    """

    def __init__(self, node: Node, on_time: Callable[[int], None]) -> None:
        self._node = node
        self._on_time = on_time
        self._subscription: Any = None

    def follow(self, *, is_simulated: bool) -> None:
        """Subscribe if ROS time is simulated; else unsubscribe."""
        if is_simulated and self._subscription is None:
            # As rclpy's own: old times are of no use.
            profile = QoSProfile(depth=1, reliability=QoSReliabilityPolicy.BEST_EFFORT)
            self._subscription = self._node.create_subscription(
                Clock, CLOCK_TOPIC, self._on_clock, profile, event_callbacks=NO_CALLBACKS
            )
        elif not is_simulated and self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None

    def _on_clock(self, message: Any) -> None:
        self._on_time(stamp_ns(message.clock))


def use_sim_time(is_simulated: bool) -> Parameter[Any]:
    """Return the parameter by which a node takes its time from ``/clock``."""
    return Parameter(USE_SIM_TIME, value=is_simulated)
