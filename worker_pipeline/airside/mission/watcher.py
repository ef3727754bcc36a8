# SPDX-License-Identifier: Apache-2.0
"""A passive observer of a pipeline, through its public topics."""

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

from worker_pipeline.airside.messages import point_cloud
from worker_pipeline.airside.mission.observation import CHAIN, DETECTIONS, LAST, Observation
from worker_pipeline.context import NANOSECONDS, stamp_ns

NAMESPACE = '/airside'
# Deep enough that nothing is lost while a line is printed.
_QOS = QoSProfile(depth=1000)
# Without the images: a second reader of 7 MB ten times per second would load the machine.
_CLOUDS = CHAIN[1:]
_POSITION = 'flight_interface'
_SPIN_PERIOD = 0.1  # s; a wait ends at a message, not at a signal


class Watcher:
    """A node that only subscribes. ``observation``: the received data; ``targets``: the newest."""

    def __init__(
        self, check_interrupted: Callable[[], None] = lambda: None, arguments: Sequence[str] = ()
    ) -> None:
        self._check_interrupted = check_interrupted
        self.observation = Observation()
        self.targets: Any = None
        self._context = Context()
        rclpy.init(args=list(arguments), context=self._context)
        self._node = rclpy.create_node('mission', namespace=NAMESPACE, context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        subscribe = self._node.create_subscription
        subscribe(DiagnosticArray, '/diagnostics', self._on_diagnostics, _QOS)
        subscribe(DiagnosticStatus, 'heartbeats', self._on_heartbeat, _QOS)
        subscribe(Odometry, f'{_POSITION}/output', self._on_odometry, _QOS)
        for stage in _CLOUDS:
            subscribe(PointCloud2, f'{stage}/output', self._listener(stage), _QOS)

    def spin(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Receive for ``seconds``, or until ``until`` returns True, checked after each message.

        An exception of ``check_interrupted`` is passed on.
        """
        end = time.monotonic() + seconds
        self._check_interrupted()
        while (remaining := end - time.monotonic()) > 0 and not until():
            self._executor.spin_once(timeout_sec=min(remaining, _SPIN_PERIOD))
            self._check_interrupted()

    def close(self) -> None:
        """Destroy the node."""
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)

    def _on_diagnostics(self, message: Any) -> None:
        for status in message.status:
            if status.name.startswith(NAMESPACE + '/'):
                name = status.name[len(NAMESPACE) + 1 :]
                self.observation.record_status(
                    name, {each.key: each.value for each in status.values}
                )

    def _on_heartbeat(self, message: Any) -> None:
        _, _, process_id = message.hardware_id.rpartition(':')
        if process_id.isdigit():
            values = {each.key: each.value for each in message.values}
            self.observation.record_heartbeat(message.name, int(process_id), values)

    def _on_odometry(self, message: Any) -> None:
        if self.observation.record_output(_POSITION, stamp_ns(message.header.stamp)):
            position = message.pose.pose.position
            self.observation.track.append((position.x, position.y))

    def _listener(self, stage: str) -> Any:
        def on_cloud(message: Any) -> None:
            stamp = stamp_ns(message.header.stamp)
            self.observation.record_size(stage, stamp, message.width * message.height)
            if stage == DETECTIONS and not point_cloud.is_searched(message):
                self.observation.unsearched.add(stamp)
            if self.observation.record_output(stage, stamp) and stage == LAST:
                self.observation.latencies.append(time.time() - stamp / NANOSECONDS)
                self.targets = point_cloud.from_message(message)

        return on_cloud
