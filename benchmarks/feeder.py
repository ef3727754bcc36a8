"""A node beside what is measured: feeds items, takes answers, hears heartbeats."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import Header

from benchmarks.processes import SHARED_MEMORY
from worker_pipeline.nodes.executor import create_executor

DEPTH = 5000


class Feeder:
    """Numbers its items from 0; the number is the stamp in milliseconds."""

    def __init__(self) -> None:
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        self.node = rclpy.create_node('feeder', namespace='/airside')
        self._executor = create_executor()
        self._executor.add_node(self.node)
        self._publisher = self.node.create_publisher(Header, 'echo/input', DEPTH)
        self.node.create_subscription(Header, 'echo/output', self._on_output, DEPTH)
        self.node.create_subscription(DiagnosticStatus, 'heartbeats', self._on_heartbeat, 100)
        self.sent = 0
        self.answered: dict[int, float] = {}  # number: when, by time.perf_counter
        self.heartbeats: dict[str, DiagnosticStatus] = {}
        self.on_answer: Callable[[], None] = lambda: None

    def __enter__(self) -> Feeder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        SHARED_MEMORY.note()
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown()

    def _on_output(self, message: Header) -> None:
        number = message.stamp.sec * 1000 + message.stamp.nanosec // 1_000_000
        self.answered.setdefault(number, time.perf_counter())
        self.on_answer()

    def _on_heartbeat(self, message: DiagnosticStatus) -> None:
        self.heartbeats[message.name] = message

    def pids(self, *, saying: str) -> dict[str, int]:
        """Name to pid of those whose newest heartbeat has this message."""
        return {
            name: int(message.hardware_id.rpartition(':')[2])
            for name, message in self.heartbeats.items()
            if message.message == saying
        }

    def send(self) -> int:
        """Publish the next item; returns its number."""
        number, self.sent = self.sent, self.sent + 1
        item = Header(frame_id='camera')
        item.stamp.sec, item.stamp.nanosec = number // 1000, number % 1000 * 1_000_000
        self._publisher.publish(item)
        return number

    def until(self, fact: Callable[[], Any], what: str, timeout: float = 30.0) -> None:
        """Spin until a fact; TimeoutError says what did not come."""
        deadline = time.monotonic() + timeout
        while not fact():
            if time.monotonic() >= deadline:
                raise TimeoutError(f'did not come within {timeout:g} s: {what}')
            self._executor.spin_once(timeout_sec=0.01)

    def rest(self, seconds: float) -> None:
        """Spin for a while."""
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= end, 'the end of a rest', seconds + 10.0)

    def until_answered(self, timeout: float = 30.0, period: float = 0.01) -> float:
        """Send an item every period until one of them is answered; returns when it was."""
        first = self.sent
        deadline, due = time.monotonic() + timeout, 0.0
        while True:
            for number in range(first, self.sent):
                if number in self.answered:
                    return self.answered[number]
            now = time.monotonic()
            if now >= deadline:
                raise TimeoutError(f'no item was answered within {timeout:g} s')
            if now >= due:
                self.send()
                due = now + period
            self._executor.spin_once(timeout_sec=0.002)
