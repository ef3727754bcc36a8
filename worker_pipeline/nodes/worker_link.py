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

from worker_pipeline.nodes import qos, worker_contract
from worker_pipeline.nodes.lifecycle import TRANSITIONS, ManagedNode
from worker_pipeline.runtime import answers
from worker_pipeline.runtime.answers import Answer
from worker_pipeline.runtime.cdr import BadMessageError, number_of, sealed, unsealed


class LinkListener(Protocol):
    """Who is told what a worker says."""

    def on_answer(self, worker: str, answer: Answer) -> None:
        """A worker answered."""

    def on_linked(self, worker: str, pid: int, has: set[int]) -> None:
        """A probe came back by every way an answer can take; ``has``: the items it has received."""


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
        self._empty = bytes(serialize_message(input_type()))
        self._probed: set[str] = set()
        self._has: set[int] = set()
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

    def send(self, number: int, item: bytes) -> None:
        """Give the worker a serialised item."""
        self._work.publish(sealed(item, number))

    def probe(self, pid: int) -> None:
        """Ask the process for a sign by every way its answers take."""
        if self._probed_pid != pid:
            self._probed_pid = pid
            self._probed.clear()
        self.send(worker_contract.probe_number(pid), self._empty)

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
            number = number_of(message)
        except BadMessageError as error:
            self._complain('result', str(error))
            return
        if number & worker_contract.PROBE:
            self._on_echo('result', number)
        else:
            output = unsealed(message)
            self._listener.on_answer(self._slot, Answer(number, answers.OUTPUT, output=output))

    def _on_outcome(self, status: DiagnosticStatus) -> None:
        values = worker_contract.values_of(status)
        number = values.get('number', '')
        if not number.isdecimal():
            self._complain('outcome', 'found no number')
            return
        if status.message == worker_contract.PROBED:
            has = values.get('text', '').split()
            self._has = {int(each) for each in has}
            self._on_echo('outcome', int(number))
        else:
            answer = Answer(int(number), status.message, values.get('text', ''))
            self._listener.on_answer(self._slot, answer)

    def _complain(self, way: str, problem: str) -> None:
        self._node.get_logger().error(f'{self._slot}/{way}: {problem}', throttle_duration_sec=1.0)

    def _on_echo(self, way: str, number: int) -> None:
        if number != worker_contract.probe_number(self._probed_pid):
            return
        self._probed.add(way)
        if self._probed == {'result', 'outcome'}:
            self._listener.on_linked(self._slot, self._probed_pid, self._has)
