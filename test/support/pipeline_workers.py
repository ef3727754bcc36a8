# SPDX-License-Identifier: Apache-2.0
"""Worker processes of simulated pipelines, as they really are: the manager may not know yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

MAX_CONCURRENCY = 3


class Output(NamedTuple):
    """``frame_bytes``: the frame memory that the worker took for it; 0 if it made no new frame."""

    payload: str
    frame_bytes: int = 0


class Answer(NamedTuple):
    """``kind``: output, none, failed, refused, returned or ended; only the first has an output.

    A worker that repeats it repeats the same output, with the same frame.
    """

    kind: str
    number: int
    output: Output | None


class FakeWorker:
    """A worker of one stage."""

    def __init__(self, stage: str, name: str) -> None:
        self.stage = stage
        self.name = name
        self.is_alive = True
        self.is_connected = False
        self.is_available = False
        self.inbox: deque[tuple[int, str]] = deque()  # on its way to it
        self.received: list[tuple[int, str]] = []
        self.recent: deque[Answer] = deque(maxlen=MAX_CONCURRENCY)

    def receive(self) -> None:
        """Receive all that is on its way; answers to earlier attempts at it are dropped."""
        for number, payload in self.inbox:
            kept = [answer for answer in self.recent if answer.number != number]
            self.recent = deque(kept, maxlen=MAX_CONCURRENCY)
            assert number not in [each for each, _ in self.received], 'sent twice'
            self.received.append((number, payload))
        self.inbox.clear()

    def process(self, kind: str, make_output: Callable[[int, str], Output]) -> Answer:
        """Process the first of the items received. Returns the answer; it may have to repeat it.

        Args:
            kind: of the answer.
            make_output: called with the item's number and payload, for an output.
        """
        number, payload = self.received.pop(0)
        answer = Answer(kind, number, make_output(number, payload) if kind == 'output' else None)
        self.recent.append(answer)
        return answer

    @property
    def known_numbers(self) -> set[int]:
        """Return the numbers of the items that it has received, answered or not."""
        return {number for number, _ in self.received} | {answer.number for answer in self.recent}
