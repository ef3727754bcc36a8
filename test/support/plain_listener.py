# SPDX-License-Identifier: Apache-2.0
"""A plain node that logs its messages: ``python -m support.plain_listener FILE WORKER...``.

It also subscribes to ``work`` and ``result`` of the workers; their messages are headers. There is a
line for each message: the time, the topic and its text. ``alive`` is written by a thread that does
nothing else; gaps in it show for how long the machine held this process up.
"""

from __future__ import annotations

import sys
import threading
import time
from functools import partial
from typing import Any, TextIO

import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.executors import ExternalShutdownException
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from support.plain_feeder import PERIOD

OUTPUT_TYPES = {'first': Header, 'second': Image}
LARGE = 1000  # bytes


class Listener:
    """The subscriptions and the log file."""

    def __init__(self, file: TextIO, workers: list[str]) -> None:
        self._file = file
        self.node = rclpy.create_node('listener', namespace='/airside')
        self._subscribe(DiagnosticStatus, 'heartbeats', self._on_heartbeat, 100)
        for stage, message_type in OUTPUT_TYPES.items():
            self._subscribe(
                message_type, f'{stage}/output', partial(self._on_message, f'{stage}/output'), 100
            )
        for worker in workers:
            for topic in (f'{worker}/work', f'{worker}/result'):
                self._subscribe(Header, topic, partial(self._on_message, topic), 100)
        threading.Thread(target=self._log_alive, daemon=True).start()

    def _subscribe(self, message_type: Any, topic: str, on_message: Any, depth: int) -> None:
        self.node.create_subscription(message_type, topic, on_message, depth)

    def _log(self, event: str, text: str = '') -> None:
        self._file.write(f'{time.monotonic():.4f} {event} {text}\n')

    def _on_heartbeat(self, status: DiagnosticStatus) -> None:
        pid = status.hardware_id.rpartition(':')[2]
        self._log('heartbeat', f'{pid} {status.name} {status.message}')

    def _on_message(self, topic: str, message: Any) -> None:
        header = getattr(message, 'header', message)
        self._log(topic, header.frame_id)
        if len(getattr(message, 'data', ())) > LARGE:
            self._log('large', header.frame_id)

    def _log_alive(self) -> None:
        while True:
            time.sleep(PERIOD)
            self._log('alive')


def main() -> None:
    path, *workers = sys.argv[1:]
    rclpy.init()
    with open(path, 'w', buffering=1) as file:
        listener = Listener(file, workers)
        try:
            rclpy.spin(listener.node)
        except (KeyboardInterrupt, ExternalShutdownException):
            listener.node.destroy_node()
            rclpy.try_shutdown()


if __name__ == '__main__':
    main()
