# SPDX-License-Identifier: Apache-2.0
"""A worker's answers: the result of each item that it was given.

A worker keeps its last answers, because a manager may die before it has read them; the worker then
sends them again to its successor. A worker has at most ``concurrency`` unanswered items, so at most
that many answers can be missing.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

# The kinds of answers.
OUTPUT = 'output'
NONE = 'no output'
END_OF_STREAM = 'end of stream'
ERROR = 'error'  # process() raised an exception
REFUSED = 'refused'  # the item is no message of the input type
RETURNED = 'returned'  # not started
# After these the item must not be processed again. The others need not be kept: an item whose
# answer is lost is sent again.
FINAL = frozenset({OUTPUT, NONE, END_OF_STREAM, REFUSED})
WITHOUT_OUTPUT = frozenset({NONE, END_OF_STREAM, ERROR, REFUSED, RETURNED})


class Answer(NamedTuple):
    """The answer to one item. ``output`` is the serialised message if the kind is OUTPUT."""

    number: int
    kind: str
    text: str = ''
    output: bytes = b''


class RecentAnswers:
    """The last ``size`` final answers, by item number."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._answers: OrderedDict[int, Answer] = OrderedDict()

    def add(self, answer: Answer) -> None:
        """Add an answer if it is final, and drop the oldest ones."""
        self._answers.pop(answer.number, None)
        if answer.kind not in FINAL:
            return
        self._answers[answer.number] = answer
        while len(self._answers) > self.size:
            self._answers.popitem(last=False)

    def with_answer(self, answer: Answer) -> RecentAnswers:
        """Return a copy with one more answer."""
        more = RecentAnswers(self.size)
        more._answers.update(self._answers)
        more.add(answer)
        return more

    def get(self, number: int) -> Answer | None:
        """Return the answer to an item; None if it is not kept."""
        return self._answers.get(number)

    def all(self) -> list[Answer]:
        """Return all answers, the oldest first."""
        return list(self._answers.values())
