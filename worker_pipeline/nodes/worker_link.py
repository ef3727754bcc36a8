"""A stage's end of what is between it and one of its workers: the line, and what others see of it.

The link belongs to the slot, the line to the process that fills it. Items and answers go by the
line; the topics of the same names show them to whoever listens, as ``ros2 topic echo`` does.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Protocol

from diagnostic_msgs.msg import DiagnosticStatus

from worker_pipeline.nodes import qos, worker_contract
from worker_pipeline.nodes.lifecycle import ManagedNode
from worker_pipeline.nodes.shown_topic import ShownTopic, listen
from worker_pipeline.nodes.worker_contract import StateReport
from worker_pipeline.runtime import answers, line
from worker_pipeline.runtime.answers import Answer
from worker_pipeline.runtime.frame_keeper import FrameKeeper
from worker_pipeline.runtime.line import Frame, Line
from worker_pipeline.runtime.line_server import LineServer, Taker


class LinkListener(Protocol):
    """Who is told what a worker says."""

    def on_linked(self, worker: str, pid: int, has: set[int]) -> None:
        """Its line is there; ``has``: the items that it has received."""

    def on_looks(self, worker: str, references: list[bytes]) -> None:
        """A worker looks at these frames, beside those of the items it holds; at no others."""

    def on_answers(self, worker: str, told: list[Answer]) -> None:
        """A worker answered so many items, in this order."""

    def on_state(self, worker: str, pid: int, report: StateReport) -> None:
        """A worker told how it stands."""


class WorkerLink:
    """The endpoints of one slot, on the stage's node, and its worker's line while there is one."""

    def __init__(
        self,
        node: ManagedNode,
        stage: str,
        slot: str,
        input_type: Any,
        output_type: Any,
        concurrency: int,
        lines: LineServer,
        frames: FrameKeeper,
        listener: LinkListener,
    ) -> None:
        self._node = node
        self._slot = slot
        self._lines = lines
        self._listener = listener
        self._frames = frames
        self._line: Line | None = None
        profile = qos.work(concurrency)
        base = f'{stage}/{slot}'
        other_end = f'{node.get_fully_qualified_name()}/{slot}'
        self.work = ShownTopic(node, input_type, f'{base}/work', profile, other_end)
        self._subscriptions = [
            listen(node, kind, f'{base}/{name}', profile)
            for kind, name in ((output_type, 'result'), (DiagnosticStatus, 'outcome'))
        ]

    # -- the line --------------------------------------------------------------------------------

    def attach(self, fresh: Line, pid: int, has: set[int], last_frame: int) -> Taker:
        """A worker has called; returns who is to be given what it says.

        ``last_frame``: the last that it had answered with when it did.
        """
        self.detach()
        self._line = fresh
        needed = self._frames.joined(pid, self._release)
        self._lines.send(fresh, line.NEEDED, last_frame, worker_contract.numbers(needed))
        self._listener.on_linked(self._slot, pid, has)
        return partial(self._take, pid)

    def detach(self) -> None:
        """The worker is gone, or another one has come."""
        if self._line is not None:
            self._lines.hang_up(self._line)
            self._line = None

    def hear_out(self) -> None:
        """A worker has died: take what it said before."""
        if self._line is not None:
            self._lines.read(self._line, to_the_end=True)

    def _take(self, pid: int, frames: list[Frame]) -> None:
        told: list[Answer] = []
        for frame in frames:
            if frame.kind == line.LOOKS_AT:
                self._listener.on_looks(self._slot, worker_contract.read_looks_at(frame))
                continue
            if frame.kind == line.OUTPUT:
                told.append(Answer(frame.number, answers.OUTPUT, '', self._frames.keep(frame.body)))
                continue
            if frame.kind != line.STATE:
                told.append(worker_contract.answer_of(frame))
                continue
            # Its state is what it is after these answers.
            self._listener.on_answers(self._slot, told)
            told = []
            self._listener.on_state(self._slot, pid, worker_contract.read_state_report(frame))
        if told:
            self._listener.on_answers(self._slot, told)

    def send(self, number: int, item: bytes) -> None:
        """Give the worker a serialised item."""
        if self._line is not None:
            self._lines.send(self._line, line.ITEM, number, item)
        if self.work.is_watched:
            self.work.show(self._frames.whole(item))

    def _release(self, frames: list[int]) -> None:
        if self._line is not None:
            # It has to know before it makes the next one, which it is asked for by this line.
            send = self._lines.send if self._frames.is_scarce else self._lines.put_off
            send(self._line, line.RELEASE, body=worker_contract.numbers(frames))

    def request(self, label: str) -> None:
        """Ask for a lifecycle transition. Its state tells whether it came about."""
        if self._line is not None:
            self._lines.send(self._line, line.REQUEST, body=label.encode())

    def destroy(self) -> None:
        """Hang up, and take the endpoints out of the graph."""
        self.detach()
        self._node.destroy_publisher(self.work.publisher)
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
