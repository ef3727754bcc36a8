"""Watches a pipeline through its public topics, as anybody could."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from nav_msgs.msg import Odometry
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile
from sensor_msgs.msg import PointCloud2

from worker_pipeline.airside import point_cloud
from worker_pipeline.context import NANOSECONDS, stamp_ns
from worker_pipeline.mission.observation import CHAIN, LAST, Observation

NAMESPACE = '/airside'
# Nothing may be missed while a line is printed.
_DEPTH = QoSProfile(depth=1000)
# The images are left out: a second reader of 7 MB ten times a second would be a stage of its own.
_CLOUDS = CHAIN[1:]
_POSITION = 'flight_interface'
_TURN = 0.1  # s; a wait ends at a message, not at a signal


class Watcher:
    """A node that only listens. ``observation`` is what it learned, ``targets`` the newest set."""

    def __init__(
        self, go_on: Callable[[], None] = lambda: None, arguments: Sequence[str] = ()
    ) -> None:
        self._go_on = go_on
        self.observation = Observation()
        self.targets: Any = None
        self._context = Context()
        rclpy.init(args=list(arguments), context=self._context)
        self._node = rclpy.create_node('mission', namespace=NAMESPACE, context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        subscribe = self._node.create_subscription
        subscribe(DiagnosticArray, '/diagnostics', self._on_diagnostics, _DEPTH)
        subscribe(DiagnosticStatus, 'heartbeats', self._on_heartbeat, _DEPTH)
        subscribe(Odometry, f'{_POSITION}/output', self._on_odometry, _DEPTH)
        for stage in _CLOUDS:
            subscribe(PointCloud2, f'{stage}/output', self._listener(stage), _DEPTH)

    def spin(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Listen for so long, or until something is so; that is looked at after each message.

        Raises whatever ``go_on`` raises, soon after it does.
        """
        end = time.monotonic() + seconds
        self._go_on()
        while (remaining := end - time.monotonic()) > 0 and not until():
            self._executor.spin_once(timeout_sec=min(remaining, _TURN))
            self._go_on()

    def close(self) -> None:
        """Listen no more."""
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)

    def _on_diagnostics(self, message: Any) -> None:
        for status in message.status:
            if status.name.startswith(NAMESPACE + '/'):
                name = status.name[len(NAMESPACE) + 1 :]
                self.observation.told(name, {each.key: each.value for each in status.values})

    def _on_heartbeat(self, message: Any) -> None:
        _, _, process_id = message.hardware_id.rpartition(':')
        if process_id.isdigit():
            values = {each.key: each.value for each in message.values}
            self.observation.heard(message.name, int(process_id), values)

    def _on_odometry(self, message: Any) -> None:
        if self.observation.came(_POSITION, stamp_ns(message.header.stamp)):
            position = message.pose.pose.position
            self.observation.track.append((position.x, position.y))

    def _listener(self, stage: str) -> Any:
        def on_cloud(message: Any) -> None:
            stamp = stamp_ns(message.header.stamp)
            if self.observation.came(stage, stamp) and stage == LAST:
                self.observation.latencies.append(time.time() - stamp / NANOSECONDS)
                self.targets = point_cloud.from_message(message)

        return on_cloud
