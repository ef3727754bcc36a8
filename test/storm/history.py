"""The checker of a storm's history: what went in, what came out, and what that proves.

It is pure, and knows nothing of the pipeline: only that the last stage gives each item it applies
the next index and the next link of a chain over all numbers applied so far. So the messages, put in
the order of their indices, tell in which order items were applied; and each proves what was applied
before it, also where nobody heard of that: a gap in what was heard is no gap in what was done.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

import attrs

GENESIS = '0' * 16
# How hard it is looked for what happened between two messages, before that is told as unknown.
COMBINATIONS = 5000
STATES = 100  # from how many earlier ones a stage may have gone on
NEAR = 10  # items before and after, that may have been applied in between


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
    out_of_order: tuple[int, ...]  # heard after a later one
    applied_out_of_order: tuple[int, ...]  # by the stage that remembers
    heard_twice: tuple[int, ...]  # the same message, so applied once
    not_heard: tuple[int, ...]  # applied, as later messages prove, and not heard outside
    quarantined: tuple[int, ...]
    wrongly_quarantined: tuple[int, ...]  # that were no poison
    poison_not_quarantined: tuple[int, ...]
    applied_and_quarantined: tuple[int, ...]  # one or the other
    contradictions: tuple[str, ...]  # where the stage forgot, or its chain comes from nowhere
    strange: tuple[str, ...]  # what was never fed, or cannot be read

    FAULTS = (
        'lost',
        'doubled',
        'out_of_order',
        'applied_out_of_order',
        'wrongly_quarantined',
        'poison_not_quarantined',
        'applied_and_quarantined',
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
    return _Inquiry(fed, list(heard), set(quarantined), set(poison), list(strange)).verdict()


class _Inquiry:
    """Who heard what in which order, and what was applied in which order."""

    def __init__(
        self,
        fed: Sequence[int],
        heard: list[Heard],
        quarantined: set[int],
        poison: set[int],
        strange: list[str],
    ) -> None:
        self.fed = fed
        self.heard = heard
        self.quarantined = quarantined
        self.poison = poison
        self.strange = strange
        self.position = {number: position for position, number in enumerate(fed)}
        assert len(self.position) == len(fed), 'each item is fed once'
        # Every application that was heard of, or is proven by those that were.
        self.applications: dict[Heard, None] = {}
        self.applied: Counter[int] = Counter()
        self.contradictions: list[str] = []
        self._next: dict[Heard, Heard] = {}  # from each application to the one after it
        self._by_index: defaultdict[int, list[Heard]] = defaultdict(list)
        self._by_index[0].append(NOTHING_YET)
        for message in sorted(dict.fromkeys(heard), key=lambda message: message.index):
            if message.number not in self.position:
                self.strange.append(f'{message}: was never fed')
            self._explain(message)

    # -- what was applied ------------------------------------------------------------------------

    def _explain(self, message: Heard) -> None:
        """Find the applications that lead to this one, from one that is known."""
        if message in self.applications:
            return
        for state in self._states_before(message):
            for numbers in self._ways(state, message):
                if chained(state.chain, numbers) == message.chain:
                    self._prove(state, numbers)
                    return
        self.contradictions.append(f'{message}: no state that is known leads there')
        self._add(message)

    def _states_before(self, message: Heard) -> Iterator[Heard]:
        """From which it may have been reached: the nearest first."""
        found = 0
        for index in range(message.index - 1, -1, -1):
            for state in self._by_index.get(index, ()):
                yield state
                found += 1
            if found >= STATES:
                break
        yield NOTHING_YET

    def _ways(self, state: Heard, message: Heard) -> Iterator[Sequence[int]]:
        """What may have been applied from a state to a message, the likeliest first."""
        steps = message.index - state.index
        last = message.number
        if steps == 1:
            yield (last,)
            return
        begin, end = self.position.get(state.number, -1), self.position.get(last, -1)
        between = [number for number in self.fed[begin + 1 : end] if self._is_due(number)]
        if steps == len(between) + 1:
            yield [*between, last]
            yield from self._one_moved(between, last)
        elif steps <= len(between):
            # Some were skipped; they may come later.
            if math.comb(len(between), steps - 1) <= COMBINATIONS:
                for done in itertools.combinations(between, steps - 1):
                    yield [*done, last]
        elif steps == len(between) + 2 and len(between) ** 2 <= COMBINATIONS:
            near = self.fed[max(0, begin - NEAR) : end + NEAR]
            for more in near:
                for place in range(len(between) + 1):
                    yield [*between[:place], more, *between[place:], last]

    def _one_moved(self, between: list[int], last: int) -> Iterator[Sequence[int]]:
        if len(between) ** 2 > COMBINATIONS:
            return
        for moved, number in enumerate(between):
            rest = [*between[:moved], *between[moved + 1 :]]
            for place in range(len(between)):
                if place != moved:
                    yield [*rest[:place], number, *rest[place:], last]

    def _is_due(self, number: int) -> bool:
        return (
            number not in self.poison
            and number not in self.quarantined
            and number not in self.applied
        )

    def _prove(self, state: Heard, numbers: Iterable[int]) -> None:
        """These were applied one after the other, from a state on."""
        for number in numbers:
            after = Heard(number, state.index + 1, link(state.chain, number))
            before = self._next.setdefault(state, after)
            if before != after:
                what = f'its state after {state}' if state.index else 'no state at all'
                self.contradictions.append(
                    f'the stage went on from {what} twice: to {before}, and to {after}'
                )
            self._add(after)
            state = after

    def _add(self, application: Heard) -> None:
        if application not in self.applications:
            self.applications[application] = None
            self.applied[application.number] += 1
            self._by_index[application.index].append(application)

    def _applied_out_of_order(self) -> list[int]:
        found, reached, seen = [], -1, set()
        for application in sorted(self.applications, key=lambda application: application.index):
            position = self.position.get(application.number, -1)
            if 0 <= position < reached and application.number not in seen:
                found.append(application.number)
            seen.add(application.number)
            reached = max(reached, position)
        return found

    # -- what was heard --------------------------------------------------------------------------

    def _heard_out_of_order(self) -> tuple[list[int], list[int]]:
        """The messages heard again, and those heard after later ones."""
        twice, late = [], []
        reached = -1
        seen: set[Heard] = set()
        numbers: set[int] = set()
        for message in self.heard:
            position = self.position.get(message.number, -1)
            if message in seen:
                # A new manager sends again what may not have been received: that is no disorder.
                twice.append(message.number)
                continue
            if 0 <= position < reached and message.number not in numbers:
                late.append(message.number)
            seen.add(message)
            numbers.add(message.number)
            reached = max(reached, position)
        return twice, late

    def verdict(self) -> Verdict:
        """All that was found."""
        known = self.position.keys()
        self.strange += [
            f'item {number}: was never fed, and is in quarantine'
            for number in sorted(self.quarantined - known)
        ]
        applied = self.applied.keys() & known
        quarantined = self.quarantined & known
        poison = self.poison & known
        twice, late = self._heard_out_of_order()
        return Verdict(
            items=len(self.fed),
            delivered=self._as_fed(applied),
            lost=self._as_fed(known - applied - quarantined - poison),
            doubled=self._as_fed({each for each, count in self.applied.items() if count > 1}),
            out_of_order=tuple(late),
            applied_out_of_order=tuple(self._applied_out_of_order()),
            heard_twice=tuple(twice),
            not_heard=self._as_fed(applied - {message.number for message in self.heard}),
            quarantined=self._as_fed(quarantined),
            wrongly_quarantined=self._as_fed(quarantined - poison),
            poison_not_quarantined=self._as_fed(poison - quarantined),
            applied_and_quarantined=self._as_fed(applied & quarantined),
            contradictions=tuple(self.contradictions),
            strange=tuple(self.strange),
        )

    def _as_fed(self, numbers: Collection[int]) -> tuple[int, ...]:
        return tuple(sorted(numbers, key=lambda number: self.position.get(number, -1)))


def _shortened(found: Sequence[object], most: int = 10) -> str:
    told = ', '.join(str(each) for each in found[:most])
    return f'{len(found)} ({told}{", ..." if len(found) > most else ""})'
