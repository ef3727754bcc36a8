# SPDX-License-Identifier: Apache-2.0
"""The ledger of a stage under random histories: no item lost or delivered twice, order, bounds.

The model (``support.ledger_crashes``) keeps its own account of every item, in the plainest way, and
of the workers' real items; after each step the ledger must agree with it. Outputs go to a
follower, a ledger too, in the same event.

An event's calls are committed in one piece, then its effects happen: items are sent, outputs
forwarded. The manager may crash before the commit (then the event is lost), or at any time after
it. Its workers live on meanwhile, or die, and the ledger is restored from the committed records.
"""

from __future__ import annotations

import random
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.ledger_account import CONCURRENCY, MOST_SLOTS, SmallWindowLedger
from support.ledger_crashes import CrashingLedgerModel
from support.storm_seeds import storm_seeds

from worker_pipeline.core.item import ItemKey
from worker_pipeline.core.ledger import Overflow

NUMBERS = st.integers(0, 5)
CHANCE = st.integers(0, 2**16).map(random.Random)


class LedgerHistories(RuleBasedStateMachine):
    """Random histories that hypothesis can shorten."""

    model: CrashingLedgerModel

    @initialize(
        queue_size=st.integers(1, 4),
        overflow=st.sampled_from(Overflow),
        max_attempts=st.integers(1, 3),
        ordered=st.booleans(),
        sources=st.integers(1, 3),
        most_outstanding=st.integers(1, 9),
        names_are_reused=st.booleans(),
        has_small_window=st.booleans(),
        journal=st.booleans(),
    )
    def start(self, **settings) -> None:
        self.model = CrashingLedgerModel(**settings)

    @rule(source=NUMBERS, later=st.integers(0, 2))
    def arrive(self, source: int, later: int) -> None:
        self.model.arrive(source, later)

    @rule(count=st.integers(1, 6), source=NUMBERS)
    def burst(self, count: int, source: int) -> None:
        for _ in range(count):
            self.model.arrive(source, 1)

    @rule()
    def activate_a_source(self) -> None:
        self.model.activate_a_source()

    @rule(which=st.integers(0, 100))
    def arrive_again(self, which: int) -> None:
        self.model.arrive_again(which)

    @rule(slot=NUMBERS, fresh=st.sampled_from([True, True, True, False]))
    def assign(self, slot: int, fresh: bool) -> None:
        self.model.assign(slot, fresh=fresh)

    @rule(slot=NUMBERS)
    def fill(self, slot: int) -> None:
        for _ in range(CONCURRENCY):
            self.model.assign(slot)

    @rule(slot=NUMBERS, position=st.sampled_from([0, 0, 1, 2]), outputs=st.integers(0, 2))
    def answer(self, slot: int, position: int, outputs: int) -> None:
        self.model.answer(slot, position, outputs)

    @precondition(lambda self: self.model.on_the_way)
    @rule(which=st.integers(0, 10), outputs=st.integers(0, 2))
    def answer_late(self, which: int, outputs: int) -> None:
        self.model.answer_late(which, outputs)

    @precondition(lambda self: self.model.on_the_way)
    @rule(which=st.integers(0, 10))
    def fail_late(self, which: int) -> None:
        self.model.fail_late(which)

    @precondition(lambda self: self.model.answered)
    @rule(which=st.integers(0, 100), outputs=st.integers(0, 2))
    def answer_twice(self, which: int, outputs: int) -> None:
        self.model.answer_twice(which, outputs)

    @rule(slot=NUMBERS)
    def answer_the_unknown(self, slot: int) -> None:
        self.model.answer_the_unknown(slot)

    @rule(slot=NUMBERS, kind=st.sampled_from(['fail', 'nack', 'retract', 'refuse']))
    def report(self, slot: int, kind: str) -> None:
        self.model.report(slot, kind)

    @rule(slot=NUMBERS, suspected=st.integers(-1, 3), on_the_way=st.integers(0, CONCURRENCY))
    def kill(self, slot: int, suspected: int, on_the_way: int) -> None:
        self.model.kill(slot, suspected=suspected, on_the_way=on_the_way)

    @rule()
    def add_a_worker(self) -> None:
        self.model.add_a_worker()

    @rule(slot=NUMBERS)
    def remove_a_worker(self, slot: int) -> None:
        self.model.remove_a_worker(slot)

    @rule()
    def flush(self) -> None:
        self.model.flush()

    @rule(chance=CHANCE)
    def change_policy(self, chance: random.Random) -> None:
        self.model.change_policy(chance)

    @rule()
    def take_snapshot(self) -> None:
        self.model.take_snapshot()

    @rule(chance=CHANCE)
    def crash(self, chance: random.Random) -> None:
        self.model.crash(chance)

    @precondition(lambda self: not all(worker.is_known for worker in self.model.workers))
    @rule(
        slot=NUMBERS, has_suspect=st.booleans(), repeats_first=st.booleans(), late=st.integers(0, 2)
    )
    def reconnect(self, slot: int, **how) -> None:
        self.model.reconnect(slot, **how)

    @invariant()
    def the_ledger_agrees_with_the_account(self) -> None:
        if hasattr(self, 'model'):
            self.model.check()

    def teardown(self) -> None:
        if hasattr(self, 'model'):
            self.model.drain()
            self.model.check_the_end(journal=not self.model.was_ever_without_journal)


TestLedgerHistories = LedgerHistories.TestCase


def walk(seed: int, steps: int) -> CrashingLedgerModel:
    """Run a random history of many steps, the same for each seed. Returns its model."""
    print(f'STORM_SEED={seed}')  # pytest shows it with a failure
    chance = random.Random(seed)
    number = chance.randrange
    model = CrashingLedgerModel(
        queue_size=number(1, 8),
        overflow=chance.choice(list(Overflow)),
        max_attempts=number(1, 4),
        ordered=chance.random() < 0.7,
        sources=number(1, 4),
        most_outstanding=number(1, 12),
        names_are_reused=chance.random() < 0.5,
        has_small_window=chance.random() < 0.5,
        journal=chance.random() < 0.6,
    )
    reports = ('fail', 'fail', 'fail', 'nack', 'nack', 'retract', 'refuse')
    events = {
        lambda: model.arrive(number(4), number(3)): 30,
        lambda: model.arrive_again(number(1000)): 2,
        lambda: model.assign(number(MOST_SLOTS), fresh=chance.random() < 0.9): 40,
        lambda: model.answer(number(MOST_SLOTS), max(0, number(-4, 3)), number(3)): 25,
        lambda: model.answer_late(number(100), number(3)): 8,
        lambda: model.fail_late(number(100)): 1,
        lambda: model.answer_twice(number(1000), number(3)): 2,
        lambda: model.answer_the_unknown(number(MOST_SLOTS)): 1,
        lambda: model.report(number(MOST_SLOTS), chance.choice(reports)): 7,
        lambda: model.kill(
            number(MOST_SLOTS), suspected=number(-1, 4), on_the_way=number(CONCURRENCY + 1)
        ): 6,
        lambda: model.remove_a_worker(number(MOST_SLOTS)): 0.5,
        lambda: model.reconnect(
            number(MOST_SLOTS),
            has_suspect=chance.random() < 0.7,
            repeats_first=chance.random() < 0.5,
            late=max(0, number(-1, 3)),
        ): 12,
        lambda: model.change_policy(chance): 0.3,
        lambda: model.crash(chance): chance.choice((0, 0.5, 2, 4)),
        model.add_a_worker: 0.7,
        model.take_snapshot: 0.7,
        model.empty_the_follower: 1,
        model.flush: 0.3,
        model.activate_a_source: 1.5,
    }
    for event in chance.choices(list(events), list(events.values()), k=steps):
        event()
        model.check()
    model.drain()
    model.check_the_end(journal=not model.was_ever_without_journal)
    return model


@pytest.mark.property
@pytest.mark.parametrize('first', range(0, 500, 25))
def test_two_hundred_thousand_steps_keep_every_promise(first: int):
    """500 histories of 400 random steps: the ledger agrees with the account after each of them.

    A failure shows its seed: ``STORM_SEED=... STORM_STEPS=400 pytest -m storm`` repeats it.
    """
    for seed in range(first, first + 25):
        walk(seed, 400)


@pytest.mark.storm
@pytest.mark.timeout(3600)
def test_a_million_steps_keep_every_promise():
    """``STORM_STEPS`` random steps, a million by default; a failure shows its seed.

    ``STORM_SEED`` sets the first seed; each seed is used for 400 steps.
    """
    for seed in storm_seeds(1_000_000, 400):
        walk(seed, 400)


@pytest.mark.property
def test_the_random_histories_reach_every_kind_of_result():
    """Each counter is reached often, so the properties above are not vacuous."""
    models = [walk(seed, 400) for seed in range(100)]
    totals = {name: sum(model.tally[name] for model in models) for name in models[0].tally}
    totals['crashes'] = sum(model.crashes for model in models)
    totals['lost'] = sum(len(model.dropped_as_lost) for model in models)
    totals['lost outputs'] = sum(len(model.lost_outputs) for model in models)
    assert all(total > 50 for total in totals.values()), totals
    assert any(len(by) > 1 for model in models for by in model.suspects.values())
    assert sum(not model.was_ever_without_journal for model in models) > 10


@given(st.lists(st.sampled_from(['arrive', 'assign', 'answer', 'die']), max_size=300))
def test_the_state_of_a_ledger_is_bounded(events: list[str]):
    """However long a stage runs, it keeps a bounded number of keys, and nothing of dead workers."""
    ledger = SmallWindowLedger(queue_size=3)
    worker = 'worker#0'
    received: deque[int] = deque()
    for stamp, event in enumerate(events):
        if event == 'arrive':
            ledger.accept(ItemKey('camera', stamp), '', 0.0)
        elif event == 'assign' and ledger.held_by(worker) < CONCURRENCY:
            item = ledger.assign(worker)
            if item is not None:
                received.append(item.number)
        elif event == 'answer' and received:
            ledger.complete(worker, received.popleft(), [''])
        elif event == 'die':
            ledger.release(worker, 'died', received[0] if received else None)
            received.clear()
            worker = f'worker#{stamp}'
        assert len(ledger._finished_keys) <= ledger.DEDUP_WINDOW
        assert len(ledger._unfinished_keys) <= ledger.queue_size + CONCURRENCY
        assert len(ledger._started) <= CONCURRENCY
        assert len(ledger._held) <= 1
        assert len(ledger._returned) <= CONCURRENCY
        assert ledger.awaiting_order < CONCURRENCY
