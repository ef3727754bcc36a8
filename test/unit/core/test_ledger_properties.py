"""The book of one stage under random histories: none lost, none doubled, in order, bounded.

The :class:`Stage` here keeps its own account of every item, in the plainest way, and of what the
workers really have before them; after each step the ledger must say the same. Outputs are booked
by a follower, a ledger too, in the same event.

An event's calls are written in one piece, then its effects happen: items are sent, outputs passed
on. The keeper of the book may crash before the writing (then what the event was about is lost),
or at any time after it. The workers live on meanwhile, or die, and the book is made anew.
"""

from __future__ import annotations

import marshal
import os
import random
from bisect import insort
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from worker_pipeline.core.item import Item, ItemKey
from worker_pipeline.core.ledger import (
    NOTHING,
    Acceptance,
    Counters,
    Delivered,
    Ledger,
    Overflow,
    Settled,
)

SLOTS = 3
MOST_SLOTS = 5
CONCURRENCY = 3
FINAL = frozenset({'completed', 'dropped', 'quarantined', 'retracted', 'refused'})
UNRECORDED = frozenset({'duplicates', 'duplicate_answers', 'refused'})

Facts = list[tuple[ItemKey, Any, float]]


class SmallMemory(Ledger):
    REMEMBERED = 5


class Worker:
    """A process as it really is: what is on its way to it, what it has, what it answered last."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_known = True  # to the keeper of the book, who may have crashed
        self.is_alive = True
        self.inbox: deque[int] = deque()
        self.hand: deque[int] = deque()
        self.memory: deque[tuple[str, int, list[str]]] = deque(maxlen=CONCURRENCY)

    def receive(self) -> None:
        """Everything on its way arrives; an answer to an earlier try is remembered no longer."""
        for number in self.inbox:
            self.hand.append(number)
            kept = [answer for answer in self.memory if answer[1] != number]
            self.memory = deque(kept, maxlen=CONCURRENCY)
        self.inbox.clear()

    def take(self, position: int) -> int:
        number = self.hand[position % len(self.hand)]
        self.hand.remove(number)
        return number


class Stage:
    """A ledger, workers that may do anything to it, and an account of what should be."""

    def __init__(
        self,
        *,
        queue_size: int,
        overflow: Overflow,
        max_attempts: int,
        ordered: bool,
        sources: int,
        most_outstanding: int,
        names_are_reused: bool = False,
        has_small_memory: bool = False,
        journal: bool = True,
    ) -> None:
        self.kind = SmallMemory if has_small_memory else Ledger
        self.journal = journal
        self.was_ever_without_journal = not journal
        self.rules: dict[str, Any] = {
            'queue_size': queue_size,
            'overflow': overflow,
            'max_attempts': max_attempts,
            'ordered': ordered,
        }
        self.longest_queue = queue_size
        self.unwritten: list[tuple[str, str, tuple[Any, ...]]] = []
        self.ledger = self.kind(**self.rules, record=self.recorder('stage'))
        self.follower = Ledger(queue_size=10**9, record=self.recorder('follower'))
        self.sources = [f'input_{index}' for index in range(sources)]
        self.most_outstanding = most_outstanding
        self.names_are_reused = names_are_reused
        self.clocks = dict.fromkeys(self.sources, 0)
        self.begun = 1  # how many of the inputs have anything to say yet
        self.births = 0
        self.workers = [Worker(f'worker_{slot}') for slot in range(SLOTS)]
        self.on_the_way: list[tuple[str, int]] = []  # answers of workers that are gone
        self.answered: list[tuple[str, int]] = []
        # The account of the items, by their numbers.
        self.keys: list[ItemKey] = [ItemKey('', -1)]  # numbers count from 1
        self.latest: dict[ItemKey, int] = {}
        self.status: dict[int, str] = {}
        self.count: Counter[str] = Counter()
        self.finished_as: dict[int, int] = {}  # the how manieth to be finished
        self.waiting: deque[int] = deque()
        self.returned: list[int] = []
        self.holder: dict[int, str] = {}
        self.held: dict[str, list[int]] = {}  # also what another has finished
        self.attempts: Counter[int] = Counter()
        self.blamed: dict[int, tuple[str, ...]] = {}
        self.gone: set[int] = set()  # the keeper of the book has not the item itself any more
        self.places: deque[int] = deque()  # given to a worker, in order, and not departed
        self.placed: set[int] = set()
        self.outputs: dict[int, list[str]] = {}  # of finished items
        self.departing: list[tuple[int, str]] = []  # within an event
        self.delivered: list[tuple[int, str]] = []
        self.at_follower: deque[str] = deque()
        self.quarantined: list[int] = []
        self.lost: list[int] = []  # dropped as nobody had them any more
        self.lost_outputs: set[tuple[int, str]] = set()
        self.sent_twice: set[int] = set()
        self.crashes = 0
        self.tally = dict.fromkeys(Counters.__slots__, 0)
        self.not_recorded: Counter[str] = Counter()  # of the tally, since the snapshot
        self.written: list[bytes] = []
        self.facts: Facts = []  # settled since the snapshot
        self.take_snapshot()

    # -- what is written -------------------------------------------------------------------------

    def recorder(self, whose: str) -> Callable[[str, tuple[Any, ...]], None]:
        return lambda name, arguments: self.unwritten.append((whose, name, arguments))

    def write(self) -> None:
        """An event's calls are written, in one piece; what comes after it are its effects."""
        for whose, name, arguments in self.unwritten:
            if not self.journal and name == 'accept':
                source, stamp, _, now = arguments
                arguments = (source, stamp, None, now)
            elif not self.journal and name == 'complete':
                worker, number, outputs = arguments
                arguments = (worker, number, (None,) * len(outputs))
            self.written.append(marshal.dumps((whose, name, arguments)))
        self.unwritten.clear()

    def take_snapshot(self) -> None:
        books = [each.snapshot(payloads=self.journal) for each in (self.ledger, self.follower)]
        self.snapshot = marshal.dumps(books)
        self.unwritten.clear()
        self.written.clear()
        self.facts.clear()
        self.not_recorded.clear()

    # -- what may happen: items come -------------------------------------------------------------

    def arrive(self, source: int, later: int) -> None:
        """An item comes, ``later`` ns after the last of its input; 0 sends the same stamp again."""
        name = self.sources[source % self.begun]
        self.clocks[name] += later
        self.offer(ItemKey(name, self.clocks[name]))

    def begin_an_input(self) -> None:
        """A further input begins to send, a little behind the first one."""
        if self.begun < len(self.sources):
            first = self.clocks[self.sources[0]]
            self.clocks[self.sources[self.begun]] = max(0, first - 4)
            self.begun += 1

    def arrive_again(self, which: int) -> None:
        """An item that was accepted before comes a second time."""
        if self.latest:
            self.offer(self.keys[1 + which % (len(self.keys) - 1)])

    def is_known(self, key: ItemKey) -> bool:
        number = self.latest.get(key)
        if number is None:
            return False
        finished = self.finished_as.get(number)
        return finished is None or len(self.finished_as) - finished <= self.kind.REMEMBERED

    def offer(self, key: ItemKey) -> None:
        number = len(self.keys)
        payload = f'payload of {number}'
        is_known = self.is_known(key)
        assert self.ledger.knows(key) == is_known
        acceptance, pushed_out = self.ledger.accept(key, payload, float(key.stamp))
        if is_known:
            self.counts('duplicates', recorded=False)
            assert (acceptance, pushed_out) == (Acceptance.DUPLICATE, None)
            return
        if len(self.waiting) < self.rules['queue_size']:
            assert pushed_out is None
        elif self.rules['overflow'] is Overflow.BLOCK:
            self.counts('refused', recorded=False)
            assert (acceptance, pushed_out) == (Acceptance.REFUSED, None)
            return
        else:
            oldest = self.waiting.popleft()
            assert pushed_out is not None
            assert pushed_out.number == oldest, 'only the oldest that waits is dropped'
            self.becomes(oldest, 'dropped')
            self.counts('dropped')
        assert acceptance is Acceptance.ACCEPTED
        self.counts('accepted')
        self.keys.append(key)
        self.latest[key] = number
        self.becomes(number, 'waiting')
        self.waiting.append(number)
        self.write()

    def flush(self) -> None:
        """Somebody calls the stage's service ``flush``."""
        assert self.ledger.flush() == len(self.waiting)
        self.counts('dropped', len(self.waiting))
        for number in self.waiting:
            self.becomes(number, 'dropped')
        self.waiting.clear()
        self.write()

    # -- what may happen: work -------------------------------------------------------------------

    def worker_of(self, slot: int) -> Worker:
        return self.workers[slot % len(self.workers)]

    def assign(self, slot: int, *, fresh: bool = True) -> Item | None:
        """A worker with a hand free is given work, new work only where there is room for more."""
        worker = self.worker_of(slot)
        if not worker.is_known or self.ledger.held_by(worker.name) >= CONCURRENCY:
            return None
        fresh = fresh and self.ledger.outstanding < self.most_outstanding
        item = self.ledger.assign(worker.name, fresh=fresh)
        if self.returned:
            number = self.returned.pop(0)
            self.counts('redelivered')
        elif fresh and self.waiting:
            number = self.waiting.popleft()
            if self.rules['ordered']:
                self.places.append(number)
                self.placed.add(number)
        else:
            assert item is None
            return None
        assert item is not None
        assert (item.number, item.key) == (number, self.keys[number])
        assert item.payload == f'payload of {number}'
        assert item.attempts == self.attempts[number]
        assert item.blamed_for == self.blamed.get(number, ())
        assert item.accepted_at == item.key.stamp
        self.becomes(number, 'held')
        self.holder[number] = worker.name
        self.held.setdefault(worker.name, []).append(number)
        self.write()
        worker.inbox.append(number)
        return item

    def answer(self, slot: int, position: int, outputs: int) -> None:
        """A worker answers, mostly its first item, with any number of outputs."""
        worker = self.worker_of(slot)
        if worker.is_alive:
            worker.receive()
        if worker.hand and worker.is_alive:
            number = worker.take(position)
            answer = ('complete', number, self.outputs_of(number, outputs))
            worker.memory.append(answer)
            self.hears(worker.name, answer)
            self.answered.append((worker.name, number))

    def answer_late(self, which: int, outputs: int) -> None:
        """The answer of a worker that is gone comes after all."""
        if self.on_the_way:
            name, number = self.on_the_way.pop(which % len(self.on_the_way))
            self.hears(name, ('complete', number, self.outputs_of(number, outputs)))

    def answer_twice(self, which: int, outputs: int) -> None:
        """An answer comes a second time."""
        if self.answered:
            name, number = self.answered[which % len(self.answered)]
            assert self.status[number] in FINAL, 'an item was open after it had been answered'
            self.hears(name, ('complete', number, self.outputs_of(number, outputs)))

    def answer_the_unknown(self, slot: int) -> None:
        """An answer comes with a number that no item has, or one that nobody was given yet."""
        worker = self.worker_of(slot)
        for number in (-1, len(self.keys), *list(self.waiting)[:1]):
            assert self.ledger.complete(worker.name, number, ['nonsense']) == Settled([], [])
            self.ledger.give_back(worker.name, number)
            assert self.ledger.fail(worker.name, number, 'nonsense') == Settled([], [])
            self.counts('duplicate_answers', recorded=False)
        assert self.unwritten == []

    def note(self, slot: int, kind: str) -> None:
        """A worker has no output for the first item it has, and says why."""
        worker = self.worker_of(slot)
        if worker.is_alive:
            worker.receive()
        if worker.hand and worker.is_alive:
            answer = (kind, worker.take(0), [])
            worker.memory.append(answer)
            self.hears(worker.name, answer)

    def fail_late(self, which: int) -> None:
        """That of a dead worker cannot mean anything any more, unless its name lives on."""
        if self.on_the_way:
            name, number = self.on_the_way.pop(which % len(self.on_the_way))
            if number not in self.held.get(name, ()):
                assert self.ledger.fail(name, number, 'late') == Settled([], [])
                self.ledger.give_back(name, number)
                assert self.unwritten == []

    # -- what may happen to workers --------------------------------------------------------------

    def die(self, slot: int, *, suspected: int, on_the_way: int) -> None:
        """A worker is gone, or was killed as late; the first of its answers may still come.

        ``suspected``: -1 for nobody, else the place of the item in work among those it has; one
        more than it has is an item that was not given to it.
        """
        slot %= len(self.workers)
        worker = self.workers[slot]
        worker.receive()
        self.on_the_way += [(worker.name, number) for number in list(worker.hand)[:on_the_way]]
        in_work: int | None = None
        if suspected >= 0:
            in_work = [*worker.hand, -1][min(suspected, len(worker.hand))]
        worker.is_alive = False
        self.workers[slot] = self.newborn(worker.name)
        self.release(worker, in_work)

    def newborn(self, name: str) -> Worker:
        self.births += 1
        if self.names_are_reused:
            return Worker(name)
        return Worker(f'{name.partition("#")[0]}#{self.births}')

    def add_a_worker(self) -> None:
        if len(self.workers) < MOST_SLOTS:
            taken = {worker.name.partition('#')[0] for worker in self.workers}
            free = (f'worker_{slot}' for slot in range(MOST_SLOTS))
            self.workers.append(self.newborn(next(name for name in free if name not in taken)))

    def remove_a_worker(self, slot: int) -> None:
        """A worker is told to go: it hands back what it has and ends."""
        if len(self.workers) > 1:
            worker = self.workers.pop(slot % len(self.workers))
            if worker.is_alive:
                worker.receive()
                while worker.hand:
                    self.hears(worker.name, ('give_back', worker.take(0), []))
            worker.is_alive = False
            self.release(worker, None)

    def release(self, worker: Worker, in_work: int | None) -> None:
        settled = self.ledger.release(worker.name, 'died', in_work)
        quarantined = []
        for number in self.held.pop(worker.name, ()):
            if self.status[number] != 'held':
                continue
            if number == in_work:
                self.blamed[number] = (*self.blamed.get(number, ()), worker.name)
                quarantined += self.attempted(number)
            else:
                self.returns(number)
        self.check_settled(settled, quarantined)
        self.drop_the_lost()
        self.write()

    # -- what may happen to the keeper of the book -----------------------------------------------

    def change_the_rules(self, chance: random.Random) -> None:
        self.draw_rules(chance)
        self.ledger.keep_by(**self.rules)
        self.take_snapshot()

    def draw_rules(self, chance: random.Random) -> None:
        self.rules = {
            'queue_size': chance.randrange(1, 8),
            'overflow': chance.choice(list(Overflow)),
            'max_attempts': chance.randrange(1, 4),
            'ordered': chance.random() < 0.7,
        }
        self.longest_queue = max(self.longest_queue, self.rules['queue_size'])

    def empty_the_follower(self) -> None:
        """What was passed on was booked there, once, in order."""
        while self.at_follower:
            item = self.follower.assign('sink')
            assert item is not None
            assert item.payload == self.at_follower.popleft()
            assert self.follower.complete('sink', item.number) == Settled([], [])
        assert self.follower.assign('sink') is None
        self.write()

    def crash(self, chance: random.Random) -> None:
        """The keeper of the book is killed; the book is made anew of what was written."""
        assert self.unwritten == []
        self.crashes += 1
        books = (self.ledger, self.follower)
        thrown_away = [each.snapshot(payloads=self.journal) for each in books]
        self.begin_what_is_never_written(chance)
        self.unwritten.clear()
        for worker in self.workers:
            self.time_passes_for(worker, chance)

        facts: Facts = []
        self.ledger = self.kind(queue_size=1, max_attempts=9, record=self.recorder('stage'))
        self.follower = Ledger(queue_size=1, record=self.recorder('follower'))
        books = (self.ledger, self.follower)
        for each, state in zip(books, marshal.loads(self.snapshot), strict=True):
            each.restore(state)
        for call in self.written:
            whose, name, arguments = marshal.loads(call)
            if whose == 'stage':
                facts += map(tuple, self.ledger.replay(name, arguments).delivered)
            else:
                self.follower.replay(name, arguments)
        assert self.unwritten == [], 'recorded again'
        assert facts == self.facts, 'other outputs than those that were passed on'
        made_anew = [each.snapshot(payloads=self.journal) for each in books]
        for name, total in self.not_recorded.items():
            self.tally[name] -= total
        assert made_anew[0].pop('counters') == self.tally
        thrown_away[0].pop('counters')
        assert made_anew == thrown_away

        if chance.random() < 0.3:
            self.draw_rules(chance)
        self.ledger.keep_by(**self.rules)
        self.resume(chance)
        if chance.random() < 0.1:
            self.journal = not self.journal
            self.was_ever_without_journal = True
        self.take_snapshot()

    def begin_what_is_never_written(self, chance: random.Random) -> None:
        """The event during which it was killed: the account is not told of it."""
        ledger, worker = self.ledger, self.worker_of(chance.randrange(MOST_SLOTS))
        event = chance.choice(('none', 'none', 'arrival', 'answer', 'answer', 'death', 'flush'))
        if event == 'arrival':
            source = self.sources[chance.randrange(self.begun)]
            ledger.accept(ItemKey(source, self.clocks[source] + 1), 'never booked', 0.0)
        elif event == 'answer' and worker.is_alive:
            worker.receive()
            if worker.hand:
                self.answer_unheard(worker, chance)
                kind, number, outputs = worker.memory[-1]
                self.tell(worker.name, kind, number, outputs)
        elif event == 'death' and worker.is_alive:
            worker.is_alive = False
            ledger.release(worker.name, 'died', worker.hand[0] if worker.hand else None)
        elif event == 'flush':
            ledger.flush()
        for each in range(chance.randrange(3)):
            ledger.assign(f'worker_{each}')

    def answer_unheard(self, worker: Worker, chance: random.Random) -> None:
        number = worker.take(0)
        kind = chance.choice(('complete', 'complete', 'complete', 'fail', 'give_back'))
        outputs = self.outputs_of(number, chance.randrange(3)) if kind == 'complete' else []
        worker.memory.append((kind, number, outputs))

    def time_passes_for(self, worker: Worker, chance: random.Random) -> None:
        """While nobody keeps the book, a worker goes on with what has reached it, or dies."""
        reached = chance.randrange(len(worker.inbox) + 1)
        worker.inbox = deque(list(worker.inbox)[:reached])
        worker.receive()
        worker.is_known = False
        if worker.is_alive:
            for _ in range(chance.randrange(len(worker.hand) + 1)):
                self.answer_unheard(worker, chance)
            worker.is_alive = chance.random() < 0.8

    def resume(self, chance: random.Random) -> None:
        """Workers dumped what they had; what nobody had is lost, unless it was written down."""
        here = [number for number in self.status if self.status[number] not in FINAL]
        payloads: dict[int, str] = {}
        if not self.journal:
            had = {number for worker in self.workers for number in worker.hand}
            had.update(self.returned)
            dumped = [number for number in here if number in had and chance.random() < 0.7]
            payloads = {number: f'payload of {number}' for number in dumped}
            self.gone = set(here)
            for number in self.places:
                self.lost_outputs.update((number, each) for each in self.outputs.get(number, ()))
                if number in self.outputs:
                    self.outputs[number] = []
        self.gone.difference_update(payloads)
        settled = self.ledger.resume(payloads)
        for number in [each for each in self.waiting if each in self.gone]:
            self.waiting.remove(number)
            self.becomes(number, 'dropped')
            self.lost.append(number)
            self.counts('dropped')
        self.check_settled(settled, self.dropped_as_lost())
        assert all(call[0] == 'follower' for call in self.unwritten), 'resume is not recorded'
        self.follower.resume({})
        if not self.journal:
            self.at_follower.clear()
        assert self.follower.waiting == len(self.at_follower)

    def find_again(self, slot: int, *, in_work: bool, repeats_first: bool, late: int) -> None:
        """After a crash a worker is found: it is dead, or tells what it has, and is sent the rest.

        ``late``: so much of what is sent again had been under way, and arrives twice.
        """
        slot %= len(self.workers)
        worker = self.workers[slot]
        if worker.is_known:
            return
        if not worker.is_alive:
            self.die(slot, suspected=0 if in_work else -1, on_the_way=0)
            return
        worker.is_known = True
        remembered = list(worker.memory)
        has = [*worker.hand, *(number for _, number, _ in remembered)]
        if repeats_first:
            for answer in remembered:
                self.hears(worker.name, answer)
        again = self.ledger.reconcile(worker.name, has)
        held = self.held.get(worker.name, [])
        missing = [number for number in held if number not in has]
        sent = [each for each in missing if self.status[each] == 'held' and each not in self.gone]
        assert [item.number for item in again] == sent
        assert [item.payload for item in again] == [f'payload of {number}' for number in sent]
        for number in missing:
            if number not in sent:
                held.remove(number)
                if self.status[number] == 'held':
                    self.returns(number)
        self.drop_the_lost()
        self.write()
        worker.inbox += sent[:late] + sent
        self.sent_twice.update(sent[:late])
        if not repeats_first:
            for answer in remembered:
                self.hears(worker.name, answer)

    # -- the account -----------------------------------------------------------------------------

    def counts(self, name: str, more: int = 1, *, recorded: bool = True) -> None:
        self.tally[name] += more
        if not recorded:
            self.not_recorded[name] += more

    def becomes(self, number: int, status: str) -> None:
        before = self.status.get(number)
        assert before not in FINAL, 'it had come to an end'
        if before is not None:
            self.count[before] -= 1
        self.status[number] = status
        self.count[status] += 1
        if status in FINAL:
            self.finished_as[number] = len(self.finished_as)

    def outputs_of(self, number: int, count: int) -> list[str]:
        return [f'output {index} of {number}' for index in range(count)]

    def tell(self, name: str, kind: str, number: int, outputs: list[str]) -> Settled:
        if kind == 'complete':
            return self.ledger.complete(name, number, outputs)
        if kind == 'fail':
            return self.ledger.fail(name, number, 'failed')
        result = getattr(self.ledger, kind)(name, number)
        return NOTHING if result is None else result

    def hears(self, name: str, answer: tuple[str, int, list[str]]) -> None:
        """An answer comes, for the first time or again: the first one counts."""
        kind, number, outputs = answer
        settled = self.tell(name, kind, number, outputs)
        held = self.held.get(name, [])
        holds = number in held
        if holds:
            held.remove(number)
        quarantined = []
        if kind in ('fail', 'give_back'):
            if holds and self.status[number] == 'held':
                if kind == 'fail':
                    quarantined = self.attempted(number)
                else:
                    self.returns(number)
        elif self.status[number] in FINAL:
            self.counts('duplicate_answers', recorded=holds)
        else:
            if self.status[number] == 'returned':
                self.returned.remove(number)
            if kind == 'complete':
                self.becomes(number, 'completed')
                self.counts('completed')
            else:
                self.becomes(number, {'refuse': 'refused', 'retract': 'retracted'}[kind])
                self.counts('accepted', -1)
                self.counts('refused', int(kind == 'refuse'))
            self.departs(number, outputs)
        self.check_settled(settled, quarantined)
        self.drop_the_lost()
        self.write()

    def attempted(self, number: int) -> list[int]:
        """One attempt is used up; the item, where it was the last."""
        self.attempts[number] += 1
        if self.attempts[number] < self.rules['max_attempts']:
            self.returns(number)
            return []
        self.becomes(number, 'quarantined')
        self.counts('quarantined')
        self.departs(number, [])
        return [number]

    def returns(self, number: int) -> None:
        self.becomes(number, 'returned')
        insort(self.returned, number)

    def drop_the_lost(self) -> None:
        self.check_settled(self.ledger.drop_the_lost(), self.dropped_as_lost())

    def dropped_as_lost(self) -> list[int]:
        """Account for what is to be given out again and cannot be; nobody is quarantined."""
        if not self.gone:
            return []
        for number in [each for each in self.returned if each in self.gone]:
            self.returned.remove(number)
            self.becomes(number, 'dropped')
            self.counts('dropped')
            self.lost.append(number)
            self.departs(number, [])
            if not self.names_are_reused and number not in self.sent_twice:
                living = [worker for worker in self.workers if worker.is_alive]
                assert all(number not in worker.hand for worker in living), 'a worker has it'
        return []

    def departs(self, number: int, outputs: list[str]) -> None:
        self.outputs[number] = outputs
        if number not in self.placed:
            self.departing += [(number, output) for output in outputs]
        while self.places and self.places[0] in self.outputs:
            first = self.places.popleft()
            self.departing += [(first, output) for output in self.outputs[first]]

    def check_settled(self, settled: Settled, quarantined: list[int]) -> None:
        """Everything that may leave has left, at once, in order, and nothing else has."""
        assert [each.payload for each in settled.delivered] == [each for _, each in self.departing]
        for (number, output), fact in zip(self.departing, settled.delivered, strict=True):
            key = self.keys[number]
            assert fact == Delivered(key, output, float(key.stamp))
            self.facts.append((key, output if self.journal else None, float(key.stamp)))
            self.delivered.append((number, output))
            follows = ItemKey('stage', len(self.delivered))
            assert self.follower.accept(follows, output, 0.0) == (Acceptance.ACCEPTED, None)
            self.at_follower.append(output)
        self.counts('delivered', len(self.departing))
        self.departing.clear()
        assert [each.item.number for each in settled.quarantined] == quarantined
        for item, _ in settled.quarantined:
            assert item.attempts == self.attempts[item.number] >= self.rules['max_attempts']
            assert item.blamed_for == self.blamed.get(item.number, ())
            is_gone = item.number in self.gone
            assert item.payload == (None if is_gone else f'payload of {item.number}')
        self.quarantined += quarantined

    # -- what must hold at every moment ----------------------------------------------------------

    def check(self) -> None:
        ledger, count, tally = self.ledger, self.count, self.tally
        assert {name: getattr(ledger.counters, name) for name in Counters.__slots__} == tally
        assert tally['accepted'] == (
            ledger.waiting
            + ledger.in_flight
            + tally['completed']
            + tally['dropped']
            + tally['quarantined']
        )
        for name in ('completed', 'dropped', 'quarantined'):
            assert tally[name] == count[name]
        assert tally['delivered'] == len(self.delivered)
        assert ledger.waiting == count['waiting'] + count['returned']
        assert ledger.in_flight == count['held']
        withheld = sum(number in self.outputs for number in self.places)
        assert ledger.withheld == withheld
        assert ledger.outstanding == count['held'] + count['returned'] + withheld
        assert ledger.free == max(0, self.rules['queue_size'] - count['waiting'])
        assert ledger.empty == (not (ledger.waiting or ledger.in_flight or withheld))
        assert ledger.unfinished == ledger.outstanding + count['waiting']
        held = [number for numbers in self.held.values() for number in numbers]
        in_work = [number for number in held if self.status[number] == 'held']
        assert ledger.last_number == len(self.keys) - 1
        oldest = min([*self.waiting, *self.returned, *in_work], default=len(self.keys))
        assert ledger.have_left(oldest - 1)
        assert oldest == len(self.keys) or not ledger.have_left(oldest)
        assert not any(number in self.outputs and number < oldest for number in self.places)
        for worker in self.workers:
            held = self.held.get(worker.name, ())
            assert ledger.held_by(worker.name) == len(held)
            for number in held:
                assert ledger.is_held(worker.name, number) == (self.status[number] == 'held')
        assert sorted(ledger.workers) == sorted(name for name, held in self.held.items() if held)
        assert self.unwritten == [], 'something else was recorded'
        assert Settled([], []) == NOTHING

        # Bounded: the queue by its size, everything else by what was let in.
        most_open = MOST_SLOTS * CONCURRENCY
        assert ledger.outstanding <= max(self.most_outstanding, most_open)
        sizes = {name: len(held) for name, held in vars(ledger).items() if hasattr(held, '__len__')}
        assert sizes.keys() == BOUNDED
        assert sizes['_waiting'] <= self.longest_queue
        assert sizes['_open'] <= most_open
        assert sizes['_returned'] <= sizes['_open']
        assert sizes['_here'] == sizes['_open'] + sizes['_waiting']
        assert sizes['_known'] <= ledger.REMEMBERED
        assert sizes['_held'] <= len(self.workers)
        assert sum(map(len, ledger._held.values())) <= most_open
        assert ledger.withheld < self.most_outstanding

    def drain(self) -> None:
        """All workers go, and one healthy worker does what is left."""
        for slot in range(len(self.workers)):
            self.die(slot, suspected=-1, on_the_way=0)
        for _ in self.keys:
            if self.assign(0) is None:
                break
            self.answer(0, 0, 1)
        else:
            pytest.fail(f'still not empty: {self.ledger.waiting} waiting')

    def check_the_end(self, *, journal: bool) -> None:
        """After the drain every item is accounted for, once, and order was kept.

        ``journal``: it was on all the time, so that nothing may be lost.
        """
        self.check()
        self.empty_the_follower()
        assert self.ledger.empty
        assert self.ledger.workers == []
        assert self.status.keys() == set(range(1, len(self.keys))), 'a number is missing'
        assert set(self.status.values()) <= FINAL, 'lost'
        assert len(set(self.delivered)) == len(self.delivered), 'doubled'
        finished = [number for number in self.status if self.status[number] == 'completed']
        promised = [(number, output) for number in finished for output in self.outputs[number]]
        assert sorted(self.delivered) == sorted(promised)
        assert self.follower.counters.accepted == len(self.delivered)
        assert self.follower.counters.duplicates == 0
        assert len(set(self.quarantined)) == len(self.quarantined) == self.count['quarantined']
        if journal:
            assert (self.lost, self.lost_outputs, self.gone) == ([], set(), set())
            assert self.follower.counters.dropped == 0
        in_order = [number for number, _ in self.delivered if number in self.placed]
        assert in_order == sorted(in_order), 'out of order'


# The containers of a ledger, all of them.
BOUNDED = {'_waiting', '_returned', '_held', '_open', '_here', '_known'}
NUMBERS = st.integers(0, 5)
CHANCE = st.integers(0, 2**16).map(random.Random)


class LedgerHistories(RuleBasedStateMachine):
    """Random histories that hypothesis can shorten."""

    stage: Stage

    @initialize(
        queue_size=st.integers(1, 4),
        overflow=st.sampled_from(Overflow),
        max_attempts=st.integers(1, 3),
        ordered=st.booleans(),
        sources=st.integers(1, 3),
        most_outstanding=st.integers(1, 9),
        names_are_reused=st.booleans(),
        has_small_memory=st.booleans(),
        journal=st.booleans(),
    )
    def begin(self, **settings) -> None:
        self.stage = Stage(**settings)

    @rule(source=NUMBERS, later=st.integers(0, 2))
    def arrive(self, source: int, later: int) -> None:
        self.stage.arrive(source, later)

    @rule(count=st.integers(1, 6), source=NUMBERS)
    def burst(self, count: int, source: int) -> None:
        for _ in range(count):
            self.stage.arrive(source, 1)

    @rule()
    def begin_an_input(self) -> None:
        self.stage.begin_an_input()

    @rule(which=st.integers(0, 100))
    def arrive_again(self, which: int) -> None:
        self.stage.arrive_again(which)

    @rule(slot=NUMBERS, fresh=st.sampled_from([True, True, True, False]))
    def assign(self, slot: int, fresh: bool) -> None:
        self.stage.assign(slot, fresh=fresh)

    @rule(slot=NUMBERS)
    def fill(self, slot: int) -> None:
        for _ in range(CONCURRENCY):
            self.stage.assign(slot)

    @rule(slot=NUMBERS, position=st.sampled_from([0, 0, 1, 2]), outputs=st.integers(0, 2))
    def answer(self, slot: int, position: int, outputs: int) -> None:
        self.stage.answer(slot, position, outputs)

    @precondition(lambda self: self.stage.on_the_way)
    @rule(which=st.integers(0, 10), outputs=st.integers(0, 2))
    def answer_late(self, which: int, outputs: int) -> None:
        self.stage.answer_late(which, outputs)

    @precondition(lambda self: self.stage.on_the_way)
    @rule(which=st.integers(0, 10))
    def fail_late(self, which: int) -> None:
        self.stage.fail_late(which)

    @precondition(lambda self: self.stage.answered)
    @rule(which=st.integers(0, 100), outputs=st.integers(0, 2))
    def answer_twice(self, which: int, outputs: int) -> None:
        self.stage.answer_twice(which, outputs)

    @rule(slot=NUMBERS)
    def answer_the_unknown(self, slot: int) -> None:
        self.stage.answer_the_unknown(slot)

    @rule(slot=NUMBERS, kind=st.sampled_from(['fail', 'give_back', 'retract', 'refuse']))
    def note(self, slot: int, kind: str) -> None:
        self.stage.note(slot, kind)

    @rule(slot=NUMBERS, suspected=st.integers(-1, 3), on_the_way=st.integers(0, CONCURRENCY))
    def die(self, slot: int, suspected: int, on_the_way: int) -> None:
        self.stage.die(slot, suspected=suspected, on_the_way=on_the_way)

    @rule()
    def add_a_worker(self) -> None:
        self.stage.add_a_worker()

    @rule(slot=NUMBERS)
    def remove_a_worker(self, slot: int) -> None:
        self.stage.remove_a_worker(slot)

    @rule()
    def flush(self) -> None:
        self.stage.flush()

    @rule(chance=CHANCE)
    def change_the_rules(self, chance: random.Random) -> None:
        self.stage.change_the_rules(chance)

    @rule()
    def take_snapshot(self) -> None:
        self.stage.take_snapshot()

    @rule(chance=CHANCE)
    def crash(self, chance: random.Random) -> None:
        self.stage.crash(chance)

    @precondition(lambda self: not all(worker.is_known for worker in self.stage.workers))
    @rule(slot=NUMBERS, in_work=st.booleans(), repeats_first=st.booleans(), late=st.integers(0, 2))
    def find_again(self, slot: int, **how) -> None:
        self.stage.find_again(slot, **how)

    @invariant()
    def the_books_agree(self) -> None:
        if hasattr(self, 'stage'):
            self.stage.check()

    def teardown(self) -> None:
        if hasattr(self, 'stage'):
            self.stage.drain()
            self.stage.check_the_end(journal=not self.stage.was_ever_without_journal)


TestLedgerHistories = LedgerHistories.TestCase


def walk(seed: int, steps: int) -> Stage:
    """A random history of many steps, the same for each seed."""
    print(f'STORM_SEED={seed}')  # pytest shows it with a failure
    chance = random.Random(seed)
    number = chance.randrange
    stage = Stage(
        queue_size=number(1, 8),
        overflow=chance.choice(list(Overflow)),
        max_attempts=number(1, 4),
        ordered=chance.random() < 0.7,
        sources=number(1, 4),
        most_outstanding=number(1, 12),
        names_are_reused=chance.random() < 0.5,
        has_small_memory=chance.random() < 0.5,
        journal=chance.random() < 0.6,
    )
    notes = ('fail', 'fail', 'fail', 'give_back', 'give_back', 'retract', 'refuse')
    happenings = {
        lambda: stage.arrive(number(4), number(3)): 30,
        lambda: stage.arrive_again(number(1000)): 2,
        lambda: stage.assign(number(MOST_SLOTS), fresh=chance.random() < 0.9): 40,
        lambda: stage.answer(number(MOST_SLOTS), max(0, number(-4, 3)), number(3)): 25,
        lambda: stage.answer_late(number(100), number(3)): 8,
        lambda: stage.fail_late(number(100)): 1,
        lambda: stage.answer_twice(number(1000), number(3)): 2,
        lambda: stage.answer_the_unknown(number(MOST_SLOTS)): 1,
        lambda: stage.note(number(MOST_SLOTS), chance.choice(notes)): 7,
        lambda: stage.die(
            number(MOST_SLOTS), suspected=number(-1, 4), on_the_way=number(CONCURRENCY + 1)
        ): 6,
        lambda: stage.remove_a_worker(number(MOST_SLOTS)): 0.5,
        lambda: stage.find_again(
            number(MOST_SLOTS),
            in_work=chance.random() < 0.7,
            repeats_first=chance.random() < 0.5,
            late=max(0, number(-1, 3)),
        ): 12,
        lambda: stage.change_the_rules(chance): 0.3,
        lambda: stage.crash(chance): chance.choice((0, 0.5, 2, 4)),
        stage.add_a_worker: 0.7,
        stage.take_snapshot: 0.7,
        stage.empty_the_follower: 1,
        stage.flush: 0.3,
        stage.begin_an_input: 1.5,
    }
    for happens in chance.choices(list(happenings), list(happenings.values()), k=steps):
        happens()
        stage.check()
    stage.drain()
    stage.check_the_end(journal=not stage.was_ever_without_journal)
    return stage


@pytest.mark.parametrize('first', range(0, 500, 25))
def test_two_hundred_thousand_steps_keep_every_promise(first: int):
    """500 histories of 400 random steps: the books agree after each step, and all ends well.

    A failure shows its seed: ``STORM_SEED=... STORM_STEPS=400 pytest -m storm`` repeats it.
    """
    for seed in range(first, first + 25):
        walk(seed, 400)


@pytest.mark.storm
@pytest.mark.timeout(3600)
def test_a_million_steps_keep_every_promise():
    """As many random steps as STORM_STEPS says, a million by default; its seed is in the failure.

    ``STORM_SEED`` chooses the first seed; each further one has 400 steps more.
    """
    steps = int(os.environ.get('STORM_STEPS', '1000000'))
    first = int(os.environ.get('STORM_SEED', random.SystemRandom().randrange(2**32)))
    for seed in range(first, first + -(-steps // 400)):
        walk(seed, 400)


def test_the_random_histories_are_not_idle():
    """Every kind of end is reached, so that the properties above are about something."""
    stages = [walk(seed, 400) for seed in range(100)]
    totals = {name: sum(stage.tally[name] for stage in stages) for name in stages[0].tally}
    totals['crashes'] = sum(stage.crashes for stage in stages)
    totals['lost'] = sum(len(stage.lost) for stage in stages)
    totals['lost outputs'] = sum(len(stage.lost_outputs) for stage in stages)
    assert all(total > 50 for total in totals.values()), totals
    assert any(len(by) > 1 for stage in stages for by in stage.blamed.values())
    assert sum(not stage.was_ever_without_journal for stage in stages) > 10


@given(st.lists(st.sampled_from(['arrive', 'assign', 'answer', 'die']), max_size=300))
def test_what_is_remembered_is_bounded(happenings: list[str]):
    """However long a stage runs, it keeps only so many identities, and nothing for the dead."""
    ledger = SmallMemory(queue_size=3)
    worker = 'worker#0'
    in_work: deque[int] = deque()
    for stamp, happening in enumerate(happenings):
        if happening == 'arrive':
            ledger.accept(ItemKey('camera', stamp), '', 0.0)
        elif happening == 'assign' and ledger.held_by(worker) < CONCURRENCY:
            item = ledger.assign(worker)
            if item is not None:
                in_work.append(item.number)
        elif happening == 'answer' and in_work:
            ledger.complete(worker, in_work.popleft(), [''])
        elif happening == 'die':
            ledger.release(worker, 'died', in_work[0] if in_work else None)
            in_work.clear()
            worker = f'worker#{stamp}'
        assert len(ledger._known) <= ledger.REMEMBERED
        assert len(ledger._here) <= ledger.queue_size + CONCURRENCY
        assert len(ledger._open) <= CONCURRENCY
        assert len(ledger._held) <= 1
        assert len(ledger._returned) <= CONCURRENCY
        assert ledger.withheld < CONCURRENCY
