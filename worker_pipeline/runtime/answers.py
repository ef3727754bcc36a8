"""A worker's answers: what became of each item that it was given.

The last ones are kept for as long as the manager may not have them. A manager that dies may take
answers with it that it had not read yet. Its successor asks, and the worker says them again. A
manager gives a worker at most ``concurrency`` items that it has no answer to, so that many answers,
the last ones, are all that can be missing.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

# What an answer says.
OUTPUT = 'output'
NONE = 'no output'
END_OF_STREAM = 'end of stream'
ERROR = 'error'  # tried, and failed
REFUSED = 'refused'  # no message of the input's type
RETURNED = 'returned'  # not begun
# After these the item is done, and not to be done again. After the others it is: they need not be
# repeated, as an item whose answer was not heard is simply sent again.
FINAL = frozenset({OUTPUT, NONE, END_OF_STREAM, REFUSED})


class Answer(NamedTuple):
    """One answer. ``output`` is the serialised message where the kind is OUTPUT."""

    number: int
    kind: str
    text: str = ''
    output: bytes = b''


class RecentAnswers:
    """The last ``size`` final answers by number."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._answers: OrderedDict[int, Answer] = OrderedDict()

    def add(self, answer: Answer) -> None:
        """Keep an answer, if it is final, and let go of the oldest."""
        self._answers.pop(answer.number, None)
        if answer.kind not in FINAL:
            return
        self._answers[answer.number] = answer
        while len(self._answers) > self.size:
            self._answers.popitem(last=False)

    def and_also(self, answer: Answer) -> RecentAnswers:
        """These and one more, while these stay what they are."""
        more = RecentAnswers(self.size)
        more._answers.update(self._answers)
        more.add(answer)
        return more

    def get(self, number: int) -> Answer | None:
        """The answer to an item, if it is among them."""
        return self._answers.get(number)

    def all(self) -> list[Answer]:
        """The oldest first."""
        return list(self._answers.values())
