"""The checker of a storm's history: what went in, what came out, and what that proves.

It is pure, and knows nothing of the pipeline: only that the last stage gives each item it applies
the next index and the next link of a chain over all numbers applied so far. So a message proves
that every item before it was applied, once and in order, also where nobody heard the messages of
those: a gap in what was heard is no gap in what was done.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import math
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import attrs

GENESIS = '0' * 16
# How hard a contradiction is looked into before it is only told as one.
COMBINATIONS = 5000
STATES = 200


def link(chain: str, number: int) -> str:
    """The chain after one more number."""
    return hashlib.blake2b(f'{chain} {number}'.encode(), digest_size=8).hexdigest()


def chained(chain: str, numbers: Iterable[int]) -> str:
    """The chain after more numbers."""
    return functools.reduce(link, numbers, chain)


class Heard(NamedTuple):
    """A message of the last stage: the item, how many were applied with it, and their chain."""

    number: int
    index: int
    chain: str

    def __str__(self) -> str:
        return f'item {self.number} as number {self.index} of the chain {self.chain}'


NOTHING_YET = Heard(-1, 0, GENESIS)


@attrs.frozen
class Verdict:
    """What a history shows. Each list holds the numbers of items, in the order they were fed."""

    items: int
    delivered: tuple[int, ...]  # applied, heard outside or not
    lost: tuple[int, ...]  # neither applied for all that is known, nor in quarantine
    doubled: tuple[int, ...]  # applied more than once
    out_of_order: tuple[int, ...]
    heard_twice: tuple[int, ...]  # the same message, so applied once
    not_heard: tuple[int, ...]  # applied, as later messages prove, and not heard outside
    quarantined: tuple[int, ...]
    wrongly_quarantined: tuple[int, ...]  # that were no poison
    poison_not_quarantined: tuple[int, ...]
    contradictions: tuple[str, ...]  # where the chain does not go on as it should
    strange: tuple[str, ...]  # what was never fed, or cannot be read

    FAULTS = (
        'lost',
        'doubled',
        'out_of_order',
        'wrongly_quarantined',
        'poison_not_quarantined',
        'contradictions',
        'strange',
    )

    @property
    def good(self) -> bool:
        """Whether every promise was kept."""
        return not any(getattr(self, fault) for fault in self.FAULTS)

    def problems(self) -> list[str]:
        """A line for each kind of fault."""
        return [
            f'{fault.replace("_", " ")}: {_shortened(getattr(self, fault))}'
            for fault in self.FAULTS
            if getattr(self, fault)
        ]


def check(
    fed: Sequence[int],
    heard: Iterable[Heard],
    quarantined: Iterable[int] = (),
    poison: Collection[int] = (),
    strange: Iterable[str] = (),
) -> Verdict:
    """Judge a history.

    ``fed``: the items in the order they went in, each once; ``heard``: the messages of the last
    stage in the order they were heard; ``quarantined``: the items announced there, as often as
    they were; ``strange``: what else came, and fits nothing.
    """
    walk = _Walk(fed, set(quarantined), set(poison))
    walk.strange += strange
    for message in heard:
        walk.take(message)
    return walk.verdict()


class _Walk:
    """From message to message, each explained by the one before it."""

    def __init__(self, fed: Sequence[int], quarantined: set[int], poison: set[int]) -> None:
        self.fed = fed
        self.quarantined = quarantined
        self.poison = poison
        self.position = {number: position for position, number in enumerate(fed)}
        assert len(self.position) == len(fed), 'each item is fed once'
        self.applied: set[int] = set()
        self.heard: dict[Heard, None] = {}  # in the order heard
        self.doubled: list[int] = []
        self.out_of_order: list[int] = []
        self.heard_twice: list[int] = []
        self.not_heard: set[int] = set()
        self.contradictions: list[str] = []
        self.strange: list[str] = []
        self._proven: set[Heard] = set()  # messages that were not heard and must have been
        self._last = NOTHING_YET
        self._reached = -1  # the last position in ``fed`` that was heard of

    def take(self, message: Heard) -> None:
        """One more message."""
        if message in self.heard:
            self.heard_twice.append(message.number)
            if message != self._last:
                self.out_of_order.append(message.number)
            return
        self.heard[message] = None
        if message in self._proven:
            # Known by those that came after it: so late, and applied once all the same.
            self.out_of_order.append(message.number)
            self.not_heard.discard(message.number)
            return
        position = self.position.get(message.number)
        if position is None:
            self.strange.append(f'{message}: was never fed')
            self._last = message
            return
        if message.number in self.applied:
            self.doubled.append(message.number)
        elif position < self._reached:
            self.out_of_order.append(message.number)
        between = [
            number
            for number in self.fed[self._reached + 1 : position]
            if number not in self.poison and number not in self.quarantined
        ]
        self._explain(message, between)
        self.applied.add(message.number)
        self.not_heard.discard(message.number)
        self._last = message
        self._reached = max(self._reached, position)

    def _prove(self, state: Heard, numbers: Iterable[int]) -> None:
        """These were applied one after the other, from a state on, though not heard."""
        for number in numbers:
            state = Heard(number, state.index + 1, link(state.chain, number))
            self._proven.add(state)
            if number not in self.applied:
                self.not_heard.add(number)
            self.applied.add(number)

    def _explain(self, message: Heard, between: list[int]) -> None:
        """What happened since the last message; ``between``: what should have been applied."""
        last = self._last
        steps = message.index - last.index
        due = [*between, message.number]
        if steps == len(due) and chained(last.chain, due) == message.chain:
            self._prove(last, between)
            return
        if 0 < steps < len(due) and self._some_were_skipped(message, between, steps):
            return
        if steps == len(due) + 1 and self._one_was_repeated(message, due):
            return
        if self._state_went_back(message, due):
            return
        self.contradictions.append(
            f'{last}, then {message}: {steps} applied where {len(due)} were due, '
            'and no chain that is known leads there'
        )
        # That more were applied than there were items is certain, whichever they are.
        self.doubled += [message.number] * max(0, steps - len(due))

    def _some_were_skipped(self, message: Heard, between: list[int], steps: int) -> bool:
        """Fewer were applied than were due. Find out which; the others may come out of order."""
        if math.comb(len(between), steps - 1) > COMBINATIONS:
            return False
        for done in itertools.combinations(between, steps - 1):
            if chained(self._last.chain, [*done, message.number]) == message.chain:
                self._prove(self._last, done)
                return True
        return False

    def _one_was_repeated(self, message: Heard, due: list[int]) -> bool:
        """One more was applied than was due. Find out which one twice."""
        if len(due) ** 2 > COMBINATIONS:
            return False
        before = [self._last.number] if self._last.index else []
        for again in (*before, *due):
            first = due.index(again) + 1 if again in due else 0
            for place in range(first, len(due) + 1):
                told = [*due[:place], again, *due[place:]]
                if chained(self._last.chain, told) == message.chain:
                    self.doubled.append(again)
                    self._prove(self._last, told[:-1])
                    return True
        return False

    def _state_went_back(self, message: Heard, due: list[int]) -> bool:
        """The stage went on from a state that it had had before. Find out which."""
        known = [*list(self.heard)[-STATES:-1], NOTHING_YET]
        for state in reversed(known):
            done = message.index - state.index
            if 0 < done <= len(due) and chained(state.chain, due[-done:]) == message.chain:
                what = f'its state after item {state.number}' if state.index else 'no state at all'
                self.contradictions.append(
                    f'{self._last}, then {message}: the stage went on from {what}'
                )
                self._prove(state, due[-done:-1])
                return True
        return False

    def verdict(self) -> Verdict:
        """All that was found."""
        gone = self.applied | self.quarantined
        self.strange += [
            f'item {number}: was never fed, and is in quarantine'
            for number in sorted(self.quarantined - self.position.keys())
        ]
        return Verdict(
            items=len(self.fed),
            delivered=self._as_fed(self.applied),
            lost=self._as_fed(self.position.keys() - gone - self.poison),
            doubled=tuple(self.doubled),
            out_of_order=tuple(self.out_of_order),
            heard_twice=tuple(self.heard_twice),
            not_heard=self._as_fed(self.not_heard),
            quarantined=self._as_fed(self.quarantined & self.position.keys()),
            wrongly_quarantined=self._as_fed(
                (self.quarantined & self.position.keys()) - self.poison
            ),
            poison_not_quarantined=self._as_fed(
                (self.poison & self.position.keys()) - self.quarantined
            ),
            contradictions=tuple(self.contradictions),
            strange=tuple(self.strange),
        )

    def _as_fed(self, numbers: Collection[int]) -> tuple[int, ...]:
        return tuple(sorted(numbers, key=self.position.__getitem__))


def _shortened(found: Sequence[object], most: int = 10) -> str:
    told = ', '.join(str(each) for each in found[:most])
    return f'{len(found)} ({told}{", ..." if len(found) > most else ""})'
