# SPDX-License-Identifier: Apache-2.0
"""The checker of a storm's history: its inputs, its outputs, and their proof.

It is pure. It only knows that the last stage gives each item it applies the next index, and the
next link of a hash chain over all numbers applied so far. The messages, sorted by index, therefore
show in which order items were applied; and each message proves the items applied before it, even if
the subscriber missed those messages.
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
# Bounds of the search for the items applied between two messages.
COMBINATIONS = 5000
STATES = 100  # earlier states from which a stage may have continued
NEAR = 10  # items before and after that may have been applied in between


def link(chain: str, number: int) -> str:
    """Return the chain after one more number."""
    return hashlib.blake2b(f'{chain} {number}'.encode(), digest_size=8).hexdigest()


def chained(chain: str, numbers: Iterable[int]) -> str:
    """Return the chain after more numbers."""
    return functools.reduce(link, numbers, chain)


class Output(NamedTuple):
    """A message of the last stage: the item, how many were applied with it, and their chain."""

    number: int
    index: int
    chain: str

    def __str__(self) -> str:
        return f'item {self.number} as number {self.index} of the chain {self.chain}'


NO_OUTPUT = Output(-1, 0, GENESIS)


@attrs.frozen
class Verdict:
    """The result of a check. Each tuple has numbers of items, in the order they were fed."""

    items: int
    delivered: tuple[int, ...]  # applied, received outside or not
    lost: tuple[int, ...]  # neither applied for all that is known, nor in quarantine
    doubled: tuple[int, ...]  # applied more than once
    out_of_order: tuple[int, ...]  # received after a later one
    applied_out_of_order: tuple[int, ...]  # by the stage that remembers
    received_twice: tuple[int, ...]  # the same message, so applied once
    not_received: tuple[int, ...]  # applied, as later messages prove
    quarantined: tuple[int, ...]
    wrongly_quarantined: tuple[int, ...]  # not poison
    poison_not_quarantined: tuple[int, ...]
    applied_and_quarantined: tuple[int, ...]  # must be one or the other
    contradictions: tuple[str, ...]  # the stage lost its state, or its chain has no origin
    strange: tuple[str, ...]  # messages about items never fed, or that cannot be parsed

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
        """Return whether every promise was kept."""
        return not any(getattr(self, fault) for fault in self.FAULTS)

    def problems(self) -> list[str]:
        """Return a line for each kind of fault."""
        return [
            f'{fault.replace("_", " ")}: {_shortened(getattr(self, fault))}'
            for fault in self.FAULTS
            if getattr(self, fault)
        ]


def check(
    fed: Sequence[int],
    received: Iterable[Output],
    quarantined: Iterable[int] = (),
    poison: Collection[int] = (),
    strange: Iterable[str] = (),
) -> Verdict:
    """Check a history.

    Args:
        fed: the items in the order in which they were fed, each once.
        received: the messages of the last stage, as they were received.
        quarantined: the items announced there, once or more often.
        poison: the items that have to be quarantined.
        strange: everything that does not fit.
    """
    return _Checker(fed, list(received), set(quarantined), set(poison), list(strange)).verdict()


class _Checker:
    """Reconstructs the applied items and their order."""

    def __init__(
        self,
        fed: Sequence[int],
        received: list[Output],
        quarantined: set[int],
        poison: set[int],
        strange: list[str],
    ) -> None:
        self.fed = fed
        self.received = received
        self.quarantined = quarantined
        self.poison = poison
        self.strange = strange
        self.position = {number: position for position, number in enumerate(fed)}
        assert len(self.position) == len(fed), 'each item is fed once'
        # Every application that was received, or is proven by those that were.
        self.applications: dict[Output, None] = {}
        self.applied: Counter[int] = Counter()
        self.contradictions: list[str] = []
        self._next: dict[Output, Output] = {}  # from each application to the one after it
        self._by_index: defaultdict[int, list[Output]] = defaultdict(list)
        self._by_index[0].append(NO_OUTPUT)
        for message in sorted(dict.fromkeys(received), key=lambda message: message.index):
            if message.number not in self.position:
                self.strange.append(f'{message}: was never fed')
            self._explain(message)

    # -- applied items ---------------------------------------------------------------------------

    def _explain(self, message: Output) -> None:
        """Find the applications that lead from a known state to this message."""
        if message in self.applications:
            return
        for state in self._states_before(message):
            for numbers in self._ways(state, message):
                if chained(state.chain, numbers) == message.chain:
                    self._prove(state, numbers)
                    return
        self.contradictions.append(f'{message}: no known state leads there')
        self._add(message)

    def _states_before(self, message: Output) -> Iterator[Output]:
        """Yield the states from which it may have been reached, the nearest first."""
        found = 0
        for index in range(message.index - 1, -1, -1):
            for state in self._by_index.get(index, ()):
                yield state
                found += 1
            if found >= STATES:
                break
        yield NO_OUTPUT

    def _ways(self, state: Output, message: Output) -> Iterator[Sequence[int]]:
        """Yield the items possibly applied from a state to a message, the likeliest first."""
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

    def _prove(self, state: Output, numbers: Iterable[int]) -> None:
        """Add applications, one after the other from a state on."""
        for number in numbers:
            after = Output(number, state.index + 1, link(state.chain, number))
            before = self._next.setdefault(state, after)
            if before != after:
                what = f'its state after {state}' if state.index else 'no state at all'
                self.contradictions.append(
                    f'the stage continued from {what} twice: to {before}, and to {after}'
                )
            self._add(after)
            state = after

    def _add(self, application: Output) -> None:
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

    # -- received messages -----------------------------------------------------------------------

    def _received_out_of_order(self) -> tuple[list[int], list[int]]:
        """Return the messages received twice, and those received after later ones."""
        twice, late = [], []
        reached = -1
        seen: set[Output] = set()
        numbers: set[int] = set()
        for message in self.received:
            position = self.position.get(message.number, -1)
            if message in seen:
                # A new manager resends messages that may have been missed; that is no disorder.
                twice.append(message.number)
                continue
            if 0 <= position < reached and message.number not in numbers:
                late.append(message.number)
            seen.add(message)
            numbers.add(message.number)
            reached = max(reached, position)
        return twice, late

    def verdict(self) -> Verdict:
        """Return the verdict."""
        known = self.position.keys()
        self.strange += [
            f'item {number}: was never fed, and is in quarantine'
            for number in sorted(self.quarantined - known)
        ]
        applied = self.applied.keys() & known
        quarantined = self.quarantined & known
        poison = self.poison & known
        twice, late = self._received_out_of_order()
        return Verdict(
            items=len(self.fed),
            delivered=self._as_fed(applied),
            lost=self._as_fed(known - applied - quarantined - poison),
            doubled=self._as_fed({each for each, count in self.applied.items() if count > 1}),
            out_of_order=tuple(late),
            applied_out_of_order=tuple(self._applied_out_of_order()),
            received_twice=tuple(twice),
            not_received=self._as_fed(applied - {message.number for message in self.received}),
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
    listed = ', '.join(str(each) for each in found[:most])
    return f'{len(found)} ({listed}{", ..." if len(found) > most else ""})'
