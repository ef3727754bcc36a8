# SPDX-License-Identifier: Apache-2.0
"""The expected content of a stage's ledger, kept in the plainest way, beside the ledger itself."""

from __future__ import annotations

import marshal
from bisect import insort
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from worker_pipeline.core.item import ItemKey
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
# The containers of a ledger, all of them.
BOUNDED = {
    '_waiting',
    '_returned',
    '_held',
    '_started',
    '_without_message',
    '_unfinished_keys',
    '_finished_keys',
}

Facts = list[tuple[ItemKey, Any, float]]


class SmallWindowLedger(Ledger):
    DEDUP_WINDOW = 5


class Worker:
    """A worker process: the items sent to it, the items received, and its recent answers."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_known = True  # to the manager, which may have been restarted
        self.is_alive = True
        self.inbox: deque[int] = deque()
        self.received: deque[int] = deque()
        self.recent_answers: deque[tuple[str, int, list[str]]] = deque(maxlen=CONCURRENCY)

    def receive(self) -> None:
        """Receive all that is on its way; answers to earlier attempts at it are dropped."""
        for number in self.inbox:
            self.received.append(number)
            kept = [answer for answer in self.recent_answers if answer[1] != number]
            self.recent_answers = deque(kept, maxlen=CONCURRENCY)
        self.inbox.clear()

    def take(self, position: int) -> int:
        number = self.received[position % len(self.received)]
        self.received.remove(number)
        return number


class LedgerAccount:
    """A ledger, its follower, its workers, and an account of their expected content."""

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
        has_small_window: bool = False,
        journal: bool = True,
    ) -> None:
        self.kind = SmallWindowLedger if has_small_window else Ledger
        self.journal = journal
        self.was_ever_without_journal = not journal
        self.policy: dict[str, Any] = {
            'queue_size': queue_size,
            'overflow': overflow,
            'max_attempts': max_attempts,
            'ordered': ordered,
        }
        self.longest_queue = queue_size
        self.uncommitted: list[tuple[str, str, tuple[Any, ...]]] = []
        self.ledger = self.kind(**self.policy, record=self.recorder('stage'))
        self.follower = Ledger(queue_size=10**9, record=self.recorder('follower'))
        self.sources = [f'input_{index}' for index in range(sources)]
        self.most_outstanding = most_outstanding
        self.names_are_reused = names_are_reused
        self.clocks = dict.fromkeys(self.sources, 0)
        self.active_sources = 1  # how many of the inputs send already
        self.worker_count = 0
        self.workers = [Worker(f'worker_{slot}') for slot in range(SLOTS)]
        self.on_the_way: list[tuple[str, int]] = []  # answers of dead workers
        self.answered: list[tuple[str, int]] = []
        # The account of the items, by their numbers.
        self.keys: list[ItemKey] = [ItemKey('', -1)]  # numbers count from 1
        self.latest: dict[ItemKey, int] = {}
        self.status: dict[int, str] = {}
        self.status_count: Counter[str] = Counter()
        self.finished_as: dict[int, int] = {}  # the rank in which it finished
        self.waiting: deque[int] = deque()
        self.returned: list[int] = []
        self.held: dict[str, list[int]] = {}  # also items that another worker has finished
        self.attempts: Counter[int] = Counter()
        self.suspects: dict[int, tuple[str, ...]] = {}
        self.payload_lost: set[int] = set()  # items without a message in the manager
        self.order: deque[int] = deque()  # ordered items that were assigned and have not departed
        self.ordered_items: set[int] = set()
        self.outputs: dict[int, list[str]] = {}  # of finished items
        self.departing: list[tuple[int, str]] = []  # within an event
        self.delivered: list[tuple[int, str]] = []
        self.at_follower: deque[str] = deque()
        self.quarantined: list[int] = []
        self.dropped_as_lost: list[int] = []  # as their payload was lost
        self.lost_outputs: set[tuple[int, str]] = set()
        self.sent_twice: set[int] = set()
        self.crashes = 0
        self.tally = dict.fromkeys(Counters.__slots__, 0)
        self.unrecorded_counts: Counter[str] = Counter()  # in the tally, since the snapshot
        self.committed: list[bytes] = []
        self.facts: Facts = []  # settled since the snapshot
        self.take_snapshot()

    # -- the journal -------------------------------------------------------------------------------

    def recorder(self, whose: str) -> Callable[[str, tuple[Any, ...]], None]:
        """Return the receiver of the recorded calls of one of the two ledgers."""
        return lambda name, arguments: self.uncommitted.append((whose, name, arguments))

    def commit(self) -> None:
        """Commit the calls of an event in one piece; its effects come after that."""
        for whose, name, arguments in self.uncommitted:
            if not self.journal and name == 'accept':
                source, stamp, _, *rest = arguments
                arguments = (source, stamp, None, *rest)
            elif not self.journal and name == 'complete':
                worker, number, outputs = arguments
                arguments = (worker, number, (None,) * len(outputs))
            self.committed.append(marshal.dumps((whose, name, arguments)))
        self.uncommitted.clear()

    def take_snapshot(self) -> None:
        """Replace the committed records by a snapshot of both ledgers."""
        states = [each.snapshot(payloads=self.journal) for each in (self.ledger, self.follower)]
        self.snapshot = marshal.dumps(states)
        self.uncommitted.clear()
        self.committed.clear()
        self.facts.clear()
        self.unrecorded_counts.clear()

    # -- the account -------------------------------------------------------------------------------

    def counts(self, name: str, more: int = 1, *, recorded: bool = True) -> None:
        self.tally[name] += more
        if not recorded:
            self.unrecorded_counts[name] += more

    def becomes(self, number: int, status: str) -> None:
        before = self.status.get(number)
        assert before not in FINAL, 'it had finished before'
        if before is not None:
            self.status_count[before] -= 1
        self.status[number] = status
        self.status_count[status] += 1
        if status in FINAL:
            self.finished_as[number] = len(self.finished_as)

    def attempted(self, number: int) -> list[int]:
        """Count an attempt. Returns the item's number if that was its last."""
        self.attempts[number] += 1
        if self.attempts[number] < self.policy['max_attempts']:
            self.returns(number)
            return []
        self.becomes(number, 'quarantined')
        self.counts('quarantined')
        self.departs(number, [])
        return [number]

    def returns(self, number: int) -> None:
        self.becomes(number, 'returned')
        insort(self.returned, number)

    def account_for_the_unrecoverable(self) -> None:
        """Account for the returned items without a payload: they are dropped."""
        if not self.payload_lost:
            return
        for number in [each for each in self.returned if each in self.payload_lost]:
            self.returned.remove(number)
            self.becomes(number, 'dropped')
            self.counts('dropped')
            self.dropped_as_lost.append(number)
            self.departs(number, [])
            if not self.names_are_reused and number not in self.sent_twice:
                living = [worker for worker in self.workers if worker.is_alive]
                assert all(number not in worker.received for worker in living), 'a worker has it'

    def departs(self, number: int, outputs: list[str]) -> None:
        self.outputs[number] = outputs
        if number not in self.ordered_items:
            self.departing += [(number, output) for output in outputs]
        while self.order and self.order[0] in self.outputs:
            first = self.order.popleft()
            self.departing += [(first, output) for output in self.outputs[first]]

    def check_settled(self, settled: Settled, quarantined: list[int]) -> None:
        """Check that all outputs that may leave have left, in order, and no others."""
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
            assert item.attempts == self.attempts[item.number] >= self.policy['max_attempts']
            assert item.suspects == self.suspects.get(item.number, ())
            is_gone = item.number in self.payload_lost
            assert item.payload == (None if is_gone else f'payload of {item.number}')
        self.quarantined += quarantined

    # -- invariants ------------------------------------------------------------------------------

    def check(self) -> None:
        ledger, count, tally = self.ledger, self.status_count, self.tally
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
        awaiting_order = sum(number in self.outputs for number in self.order)
        assert ledger.awaiting_order == awaiting_order
        assert ledger.outstanding == count['held'] + count['returned'] + awaiting_order
        assert ledger.free == max(0, self.policy['queue_size'] - count['waiting'])
        assert ledger.empty == (not (ledger.waiting or ledger.in_flight or awaiting_order))
        assert ledger.unfinished == ledger.outstanding + count['waiting']
        held = [number for numbers in self.held.values() for number in numbers]
        unfinished = [number for number in held if self.status[number] == 'held']
        assert ledger.last_number == len(self.keys) - 1
        oldest = min([*self.waiting, *self.returned, *unfinished], default=len(self.keys))
        assert ledger.departed_through(oldest - 1)
        assert oldest == len(self.keys) or not ledger.departed_through(oldest)
        assert not any(number in self.outputs and number < oldest for number in self.order)
        for worker in self.workers:
            held = self.held.get(worker.name, [])
            assert ledger.held_by(worker.name) == len(held)
            for number in held:
                assert ledger.is_held(worker.name, number) == (self.status[number] == 'held')
        assert sorted(ledger.workers) == sorted(name for name, held in self.held.items() if held)
        assert self.uncommitted == [], 'a call was recorded that is not part of an event'
        assert Settled([], []) == NOTHING

        # Bounded: the queue by its size, everything else by the accepted items.
        most_open = MOST_SLOTS * CONCURRENCY
        assert ledger.outstanding <= max(self.most_outstanding, most_open)
        sizes = {name: len(held) for name, held in vars(ledger).items() if hasattr(held, '__len__')}
        assert sizes.keys() == BOUNDED
        assert sizes['_waiting'] <= self.longest_queue
        assert sizes['_started'] <= most_open
        assert sizes['_returned'] <= sizes['_started']
        without_message = [item for item in ledger._started.values() if item.payload is None]
        assert ledger.started_without_message == len(without_message)
        assert sizes['_without_message'] <= most_open
        assert sizes['_unfinished_keys'] == sizes['_started'] + sizes['_waiting']
        assert sizes['_finished_keys'] <= ledger.DEDUP_WINDOW
        assert sizes['_held'] <= len(self.workers)
        assert sum(map(len, ledger._held.values())) <= most_open
        assert ledger.awaiting_order < self.most_outstanding
