"""A plain node that writes down what it hears: ``python -m support.plain_listener FILE WORKER...``.

The workers are those whose ``work`` and ``result`` are listened to too, whose messages are headers.

One line a message: when, on what, and its text. ``alive`` is said by a thread that does nothing
else, so that it can be told how long the machine alone has held this process up.
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

KINDS = {'first': Header, 'second': Image}
LARGE = 1000  # bytes


class Listener:
    """What it subscribes to, and its book."""

    def __init__(self, book: TextIO, workers: list[str]) -> None:
        self._book = book
        self.node = rclpy.create_node('listener', namespace='/airside')
        self._listen(DiagnosticStatus, 'heartbeats', self._on_heartbeat, 100)
        for stage, kind in KINDS.items():
            self._listen(kind, f'{stage}/output', partial(self._on_message, f'{stage}/output'), 100)
        for worker in workers:
            for topic in (f'{worker}/work', f'{worker}/result'):
                self._listen(Header, topic, partial(self._on_message, topic), 100)
        threading.Thread(target=self._say_alive, daemon=True).start()

    def _listen(self, kind: Any, topic: str, on_message: Any, depth: int) -> None:
        self.node.create_subscription(kind, topic, on_message, depth)

    def _note(self, what: str, text: str = '') -> None:
        self._book.write(f'{time.monotonic():.4f} {what} {text}\n')

    def _on_heartbeat(self, status: DiagnosticStatus) -> None:
        pid = status.hardware_id.rpartition(':')[2]
        self._note('heartbeat', f'{pid} {status.name} {status.message}')

    def _on_message(self, topic: str, message: Any) -> None:
        header = getattr(message, 'header', message)
        self._note(topic, header.frame_id)
        if len(getattr(message, 'data', ())) > LARGE:
            self._note('large', header.frame_id)

    def _say_alive(self) -> None:
        while True:
            time.sleep(PERIOD)
            self._note('alive')


def main() -> None:
    path, *workers = sys.argv[1:]
    rclpy.init()
    with open(path, 'w', buffering=1) as book:
        listener = Listener(book, workers)
        try:
            rclpy.spin(listener.node)
        except (KeyboardInterrupt, ExternalShutdownException):
            listener.node.destroy_node()
            rclpy.try_shutdown()


if __name__ == '__main__':
    main()
