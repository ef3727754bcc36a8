# SPDX-License-Identifier: Apache-2.0
"""Worker processes of simulated pipelines, as they really are: the manager may not know yet."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

MAX_CONCURRENCY = 3


class Answer(NamedTuple):
    """``kind``: output, none, failed, refused, returned or ended; ``payload``: of the item."""

    kind: str
    number: int
    payload: str


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

    def process(self, position: int, kind: str) -> Answer:
        """Process one of the items received. Returns the answer, which it may have to repeat."""
        answer = Answer(kind, *self.received.pop(position % len(self.received)))
        self.recent.append(answer)
        return answer

    @property
    def known_numbers(self) -> set[int]:
        """Return the numbers of the items that it has received, answered or not."""
        return {number for number, _ in self.received} | {answer.number for answer in self.recent}
