# SPDX-License-Identifier: Apache-2.0
"""A node outside the pipeline that feeds its first stage, and records its public topics."""

from __future__ import annotations

from collections import Counter
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from std_msgs.msg import Header
from support.external_node import without_shared_memory
from support.observer import number_of

from storm.history import Output
from storm.recorder import Recorder
from storm.settings import HOSTILE_STAGES
from storm.stages import MARKS
from worker_pipeline.ros.executor import Spinner

DEPTH = 5000
# The counters that are summed up over all managers, each of which may start from 0.
COUNTED = ('accepted', 'dropped', 'quarantined', 'redelivered', 'duplicates', 'refused', 'restarts')


class ExternalNode:
    """A node that spins in a thread of its own, and keeps the messages it receives."""

    def __init__(self, domain: int, recorder: Recorder) -> None:
        self._recorder = recorder
        self.received: list[Output] = []
        self.highest = -1  # the highest number received
        self.strange: list[str] = []
        self.quarantined: list[int] = []
        self.pids: dict[str, int] = {}  # by slot: first/worker_0
        self.values: dict[str, dict[str, str]] = {}  # the newest diagnostics, by node: first
        self.totals: dict[str, Counter[str]] = {}
        self._context = Context()
        with without_shared_memory():
            rclpy.init(context=self._context, domain_id=domain)
            self._node = rclpy.create_node('storm', namespace='/airside', context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        latched = QoSProfile(depth=DEPTH, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
        for message_type, topic, take, profile in (
            (Header, 'third/output', self._on_output, DEPTH),
            (DiagnosticStatus, 'quarantine', self._on_quarantine, latched),
            (DiagnosticStatus, 'heartbeats', self._on_heartbeat, 100),
            (DiagnosticArray, '/diagnostics', self._on_diagnostics, 10),
        ):
            self._node.create_subscription(message_type, topic, take, profile)
        self._publisher = self._node.create_publisher(Header, 'first/input', DEPTH)
        self._spinner = Spinner(self._executor)

    def close(self) -> None:
        """Destroy the node."""
        self._spinner.close(5.0)
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)

    def publish(self, item: Header) -> None:
        """Feed an item."""
        self._publisher.publish(item)

    def number(self, node: str, key: str) -> int:
        """Return a value of the newest diagnostics; 0 before the first."""
        return int(self.values.get(node, {}).get(key) or 0)

    def total(self, key: str, *, hostile: bool = False) -> int:
        """Return a counter, summed up over all managers and the good, or the hostile, stages."""
        return sum(
            counts[key]
            for name, counts in self.totals.items()
            if (name.partition('/')[0] in HOSTILE_STAGES) == hostile
        )

    # -- subscriptions ---------------------------------------------------------------------------

    def _on_output(self, message: Header) -> None:
        self._recorder.record('received', stamp=number_of(message), text=message.frame_id)
        try:
            number, *marks, index, chain = message.frame_id.split()
            output = Output(int(number), int(index), chain)
        except ValueError:
            self.strange.append(f'third/output: cannot be read: {message.frame_id!r}')
            return
        if tuple(marks) != MARKS or output.number != number_of(message):
            self.strange.append(
                f'third/output: stamped as item {number_of(message)}: {message.frame_id!r}'
            )
            return
        self.received.append(output)
        self.highest = max(self.highest, output.number)

    def _on_quarantine(self, status: DiagnosticStatus) -> None:
        values = _values_of(status)
        self._recorder.record('quarantined', cause=status.message, **values)
        if values.get('stage') in HOSTILE_STAGES:
            return
        seconds, _, nanoseconds = values.get('stamp', '').partition('.')
        try:
            stamp = int(seconds) * 1_000_000_000 + int(nanoseconds)
        except ValueError:
            self.strange.append(f'quarantine: found no stamp in {values}')
            return
        self.quarantined.append(stamp // 1_000_000 - 1)

    def _on_heartbeat(self, status: DiagnosticStatus) -> None:
        pid = status.hardware_id.rpartition(':')[2]
        if pid.isdecimal() and self.pids.get(status.name) != int(pid):
            self.pids[status.name] = int(pid)
            self._recorder.record('heartbeat of another', slot=status.name, pid=int(pid))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        newest = {
            status.name.removeprefix('/airside/'): {**_values_of(status), 'message': status.message}
            for status in message.status
        }
        for name, values in newest.items():
            counts = self.totals.setdefault(name, Counter())
            before = self.values.get(name, {})
            for key in COUNTED:
                # The manager's restarts are the sum of its workers'.
                if key in values and name != 'manager':
                    now, then = int(values[key]), int(before.get(key, 0))
                    counts[key] += now - then if now >= then else now
        self.values = newest
        self._recorder.record('diagnostics', values=newest)


def _values_of(status: Any) -> dict[str, str]:
    return {entry.key: entry.value for entry in status.values}
