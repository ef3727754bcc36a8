# SPDX-License-Identifier: Apache-2.0
"""A node beside the measured system: sends items, receives answers and heartbeats."""

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
from worker_pipeline.ros.executor import create_executor

DEPTH = 5000


class Feeder:
    """Numbers its items from 0; the number is the stamp in milliseconds, from 1 s on."""

    def __init__(self, first: str = 'echo', last: str = 'echo') -> None:
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        self.node = rclpy.create_node('feeder', namespace='/airside')
        self._executor = create_executor()
        self._executor.add_node(self.node)
        self._publisher = self.node.create_publisher(Header, f'{first}/input', DEPTH)
        self.node.create_subscription(Header, f'{last}/output', self._on_output, DEPTH)
        self.node.create_subscription(DiagnosticStatus, 'heartbeats', self._on_heartbeat, 1000)
        self.sent_at: list[float] = []  # by number, by time.perf_counter
        self.answered: dict[int, float] = {}  # number: when
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
        number = message.stamp.sec * 1000 + message.stamp.nanosec // 1_000_000 - 1000
        self.answered.setdefault(number, time.perf_counter())
        self.on_answer()

    def _on_heartbeat(self, message: DiagnosticStatus) -> None:
        self.heartbeats[message.name] = message

    @property
    def sent(self) -> int:
        """The number of items sent."""
        return len(self.sent_at)

    def pids(self, *, saying: str) -> dict[str, int]:
        """Return name to pid of the processes whose newest heartbeat has this message."""
        return {
            name: int(message.hardware_id.rpartition(':')[2])
            for name, message in self.heartbeats.items()
            if message.message == saying
        }

    def until_heard(self, count: int, *, saying: str) -> list[int]:
        """Spin until this many processes report this heartbeat message; return their pids."""
        self.until(
            lambda: len(self.pids(saying=saying)) == count,
            f'heartbeats of {count} processes that are {saying}',
            60.0,
        )
        return list(self.pids(saying=saying).values())

    def send(self, text: str = 'camera') -> int:
        """Publish the next item; return its number."""
        number = self.sent
        item = Header(frame_id=text)
        item.stamp.sec, milliseconds = divmod(number + 1000, 1000)
        item.stamp.nanosec = milliseconds * 1_000_000
        self.sent_at.append(time.perf_counter())
        self._publisher.publish(item)
        return number

    def publish(self, data: bytes) -> None:
        """Publish the bytes of an item that gets no answer."""
        self._publisher.publish(data)

    def until(self, fact: Callable[[], Any], what: str, timeout: float = 30.0) -> None:
        """Spin until a condition is true; TimeoutError says what did not arrive."""
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
        """Send an item every period until one of them is answered; return when it was."""
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

    def feed(self, items: int, bound: int) -> float:
        """Have this many items answered, with at most ``bound`` in flight; return the seconds."""
        end = self.sent + items
        answers = len(self.answered) + items

        def send_next() -> None:
            if self.sent < end:
                self.send()

        begin = time.perf_counter()
        self.on_answer = send_next
        for _ in range(bound):
            send_next()
        self.until(
            lambda: len(self.answered) >= answers, f'the answers to {items} items', timeout=90.0
        )
        self.on_answer = lambda: None
        return time.perf_counter() - begin

    def pace(self, items: int, period: float) -> list[float]:
        """Send an item each period; return the times from sending to answer, s."""
        first, begin = self.sent, time.monotonic()
        for index in range(items):
            due = begin + index * period
            self.until(lambda due=due: time.monotonic() >= due, 'the next period')
            self.send()
        numbers = range(first, first + items)
        self.until(lambda: all(each in self.answered for each in numbers), 'all answers')
        return [self.answered[each] - self.sent_at[each] for each in numbers]
