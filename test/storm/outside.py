"""A node outside the pipeline: feeds its first stage, and hears what anybody can hear."""

from __future__ import annotations

from collections import Counter
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from std_msgs.msg import Header
from support.observing import number_of
from support.outside import without_shared_memory

from storm.history import Heard
from storm.recording import Recorder
from storm.stages import MARKS
from worker_pipeline.nodes.executor import Spinner

DEPTH = 5000
# What is added up over the managers that come and go, each of which may count from nothing.
COUNTED = ('accepted', 'dropped', 'quarantined', 'redelivered', 'duplicates', 'refused', 'restarts')


class Outside:
    """Spins by itself in a thread; what it heard is kept."""

    def __init__(self, domain: int, recorder: Recorder) -> None:
        self._recorder = recorder
        self.heard: list[Heard] = []
        self.highest = -1  # the highest number heard
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
        """Leave the graph."""
        self._spinner.close(5.0)
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)

    def publish(self, item: Header) -> None:
        """Feed the pipeline."""
        self._publisher.publish(item)

    def number(self, node: str, key: str) -> int:
        """A number of the newest diagnostics; 0 before any."""
        return int(self.values.get(node, {}).get(key) or 0)

    def total(self, key: str) -> int:
        """A count of all stages, over all managers."""
        return sum(counts[key] for counts in self.totals.values())

    # -- what is heard ---------------------------------------------------------------------------

    def _on_output(self, message: Header) -> None:
        self._recorder.note('heard', stamp=number_of(message), text=message.frame_id)
        try:
            number, *marks, index, chain = message.frame_id.split()
            heard = Heard(int(number), int(index), chain)
        except ValueError:
            self.strange.append(f'third/output: cannot be read: {message.frame_id!r}')
            return
        if tuple(marks) != MARKS or heard.number != number_of(message):
            self.strange.append(
                f'third/output: stamped as item {number_of(message)}: {message.frame_id!r}'
            )
            return
        self.heard.append(heard)
        self.highest = max(self.highest, heard.number)

    def _on_quarantine(self, status: DiagnosticStatus) -> None:
        values = _values_of(status)
        self._recorder.note('quarantined', cause=status.message, **values)
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
            self._recorder.note('heartbeat of another', slot=status.name, pid=int(pid))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        newest = {
            status.name.removeprefix('/airside/'): {**_values_of(status), 'says': status.message}
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
        self._recorder.note('diagnostics', values=newest)


def _values_of(status: Any) -> dict[str, str]:
    return {entry.key: entry.value for entry in status.values}
