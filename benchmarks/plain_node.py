# SPDX-License-Identifier: Apache-2.0
"""A peer: a plain rclpy lifecycle node, written without this package.

It publishes a heartbeat at 10 Hz, and echoes items while it is active. ``python -m
benchmarks.plain_node --ros-args -r __node:=plain_0 -r __ns:=/airside``
"""

from __future__ import annotations

import os
import socket
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from std_msgs.msg import Header

from benchmarks import marks
from benchmarks.plain import run

HEARTBEAT_PERIOD = 0.1  # s, as in a worker


class PlainNode(LifecycleNode):
    """One lifecycle node, one timer, and in the active state one echo."""

    def __init__(self) -> None:
        super().__init__('plain')
        self._identity = f'{socket.gethostname()}:{os.getpid()}'
        self._heartbeat = self.create_publisher(DiagnosticStatus, 'heartbeats', 10)
        self.create_timer(HEARTBEAT_PERIOD, self._beat)
        marks.leave()

    def on_configure(self, state: Any) -> TransitionCallbackReturn:  # noqa: ARG002 - rclpy's
        self._output = self.create_lifecycle_publisher(Header, 'echo/output', 10)
        self.create_subscription(Header, 'echo/input', self._output.publish, 1000)
        return TransitionCallbackReturn.SUCCESS

    def _beat(self) -> None:
        self._heartbeat.publish(
            DiagnosticStatus(name=self.get_name(), hardware_id=self._identity, message='alive')
        )


if __name__ == '__main__':
    run(PlainNode)
