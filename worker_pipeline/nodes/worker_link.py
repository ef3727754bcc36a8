"""A stage's end of the topics and services between it and one of its workers.

The link belongs to the slot: a replacement takes over its names, so the same publisher and
subscriptions find it.
"""

from __future__ import annotations

from typing import Any, Protocol

from diagnostic_msgs.msg import DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.serialization import serialize_message

from worker_pipeline.context import header_of
from worker_pipeline.nodes import qos, worker_contract
from worker_pipeline.nodes.lifecycle import TRANSITIONS, ManagedNode
from worker_pipeline.runtime.cdr import BadMessageError, stamp_of


class LinkListener(Protocol):
    """Who is told what a worker says."""

    def on_output(self, worker: str, stamp: int, message: bytes) -> None:
        """A worker answered with an output."""

    def on_outcome(self, worker: str, stamp: int, kind: str, text: str) -> None:
        """A worker answered without an output."""

    def on_linked(self, worker: str, pid: int) -> None:
        """A probe came back by every way an answer can take."""


class WorkerLink:
    """The endpoints of one slot, on the stage's node."""

    def __init__(
        self,
        node: ManagedNode,
        stage: str,
        slot: str,
        input_type: Any,
        output_type: Any,
        concurrency: int,
        listener: LinkListener,
    ) -> None:
        self._node = node
        self._slot = slot
        self._listener = listener
        self._input_type = input_type
        self._probed: set[str] = set()
        self._probed_pid = 0
        self._pending: Any = None
        profile = qos.work(concurrency)
        base = f'{stage}/{slot}'
        self._work = node.create_publisher(input_type, f'{base}/work', profile)
        self._result = node.create_subscription(
            output_type, f'{base}/result', self._on_result, profile, raw=True
        )
        self._outcome = node.create_subscription(
            DiagnosticStatus, f'{base}/outcome', self._on_outcome, profile
        )
        self._change_state = node.create_client(ChangeState, f'{base}/change_state')

    def send(self, item: bytes) -> None:
        """Give the worker a serialised item."""
        self._work.publish(item)

    def probe(self, pid: int) -> None:
        """Ask the process for a sign by every way its answers take."""
        if self._probed_pid != pid:
            self._probed_pid = pid
            self._probed.clear()
        message = self._input_type()
        header = header_of(message)
        header.stamp.sec, header.stamp.nanosec = worker_contract.PROBE_SECONDS, pid
        self._work.publish(serialize_message(message))

    def request(self, label: str) -> None:
        """Ask for a lifecycle transition. Heartbeats tell whether it came about."""
        # A shutdown has a number of its own for each state it begins in: the label says it.
        number = 0 if label == 'shutdown' else TRANSITIONS[label]
        request = ChangeState.Request(transition=Transition(id=number, label=label))
        if self._pending is not None and not self._pending.done():
            # Whoever was asked has died, or never heard: do not keep the question for ever.
            self._change_state.remove_pending_request(self._pending)
        self._pending = self._change_state.call_async(request)

    def destroy(self) -> None:
        """Take the endpoints out of the graph."""
        self._node.destroy_publisher(self._work)
        self._node.destroy_subscription(self._result)
        self._node.destroy_subscription(self._outcome)
        self._node.destroy_client(self._change_state)

    def _on_result(self, message: bytes) -> None:
        try:
            stamp = stamp_of(message)
        except BadMessageError as error:
            self._node.get_logger().error(
                f'{self._slot}/result: {error}', throttle_duration_sec=1.0
            )
            return
        if worker_contract.is_probe(stamp):
            self._on_echo('result', stamp)
        else:
            self._listener.on_output(self._slot, stamp, message)

    def _on_outcome(self, status: DiagnosticStatus) -> None:
        values = worker_contract.values_of(status)
        try:
            stamp = int(values['stamp'])
        except (KeyError, ValueError):
            self._node.get_logger().error(
                f'{self._slot}/outcome: found no stamp', throttle_duration_sec=1.0
            )
            return
        if worker_contract.is_probe(stamp):
            self._on_echo('outcome', stamp)
        else:
            self._listener.on_outcome(self._slot, stamp, status.message, values.get('text', ''))

    def _on_echo(self, way: str, stamp: int) -> None:
        if stamp != worker_contract.probe_stamp(self._probed_pid):
            return
        self._probed.add(way)
        if self._probed == {'result', 'outcome'}:
            self._listener.on_linked(self._slot, self._probed_pid)
