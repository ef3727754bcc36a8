# SPDX-License-Identifier: Apache-2.0
"""Everything that may happen to the ledger of a stage while its manager runs."""

from __future__ import annotations

import pytest

from support.ledger_account import (
    CONCURRENCY,
    FINAL,
    MOST_SLOTS,
    LedgerAccount,
    Worker,
)
from worker_pipeline.core.item import Item, ItemKey
from worker_pipeline.core.ledger import (
    NOTHING,
    Acceptance,
    Overflow,
    Settled,
)


class LedgerModel(LedgerAccount):
    """A ledger and workers that may do anything to it; each step is checked against the account."""

    # -- items arrive ------------------------------------------------------------------------------

    def arrive(self, source: int, later: int) -> None:
        """Offer an item, stamped ``later`` ns after the last of its input; 0 repeats the stamp."""
        name = self.sources[source % self.active_sources]
        self.clocks[name] += later
        self.offer(ItemKey(name, self.clocks[name]))

    def activate_a_source(self) -> None:
        """Let a further input send, with stamps a little behind those of the first."""
        if self.active_sources < len(self.sources):
            first = self.clocks[self.sources[0]]
            self.clocks[self.sources[self.active_sources]] = max(0, first - 4)
            self.active_sources += 1

    def arrive_again(self, which: int) -> None:
        """Offer an item that was accepted before a second time."""
        if self.latest:
            self.offer(self.keys[1 + which % (len(self.keys) - 1)])

    def is_known(self, key: ItemKey) -> bool:
        number = self.latest.get(key)
        if number is None:
            return False
        finished = self.finished_as.get(number)
        return finished is None or len(self.finished_as) - finished <= self.kind.DEDUP_WINDOW

    def offer(self, key: ItemKey) -> None:
        number = len(self.keys)
        payload = f'payload of {number}'
        is_known = self.is_known(key)
        assert self.ledger.knows(key) == is_known
        acceptance, dropped = self.ledger.accept(key, payload, float(key.stamp))
        if is_known:
            self.counts('duplicates', recorded=False)
            assert (acceptance, dropped) == (Acceptance.DUPLICATE, None)
            return
        if len(self.waiting) < self.policy['queue_size']:
            assert dropped is None
        elif self.policy['overflow'] is Overflow.BLOCK:
            self.counts('refused', recorded=False)
            assert (acceptance, dropped) == (Acceptance.REFUSED, None)
            return
        else:
            oldest = self.waiting.popleft()
            assert dropped is not None
            assert dropped.number == oldest, 'only the oldest queued item is dropped'
            self.becomes(oldest, 'dropped')
            self.counts('dropped')
        assert acceptance is Acceptance.ACCEPTED
        self.counts('accepted')
        self.keys.append(key)
        self.latest[key] = number
        self.becomes(number, 'waiting')
        self.waiting.append(number)
        self.commit()

    def flush(self) -> None:
        """Call the service ``flush`` of the stage."""
        assert self.ledger.flush() == len(self.waiting)
        self.counts('dropped', len(self.waiting))
        for number in self.waiting:
            self.becomes(number, 'dropped')
        self.waiting.clear()
        self.commit()

    # -- items are processed -----------------------------------------------------------------------

    def worker_of(self, slot: int) -> Worker:
        return self.workers[slot % len(self.workers)]

    def assign(self, slot: int, *, fresh: bool = True) -> Item | None:
        """Assign an item to a worker that can take one; a new one only below the limit."""
        worker = self.worker_of(slot)
        if not worker.is_known or self.ledger.held_by(worker.name) >= CONCURRENCY:
            return None
        may_begin = fresh and self.ledger.outstanding < self.most_outstanding
        if not (may_begin or self.ledger.returned):
            return None
        item = self.ledger.assign(worker.name)
        if self.returned:
            number = self.returned.pop(0)
            self.counts('redelivered')
        elif self.waiting:
            number = self.waiting.popleft()
            if self.policy['ordered']:
                self.order.append(number)
                self.ordered_items.add(number)
        else:
            assert item is None
            return None
        assert item is not None
        assert (item.number, item.key) == (number, self.keys[number])
        assert item.payload == f'payload of {number}'
        assert item.attempts == self.attempts[number]
        assert item.suspects == self.suspects.get(number, ())
        assert item.accepted_at == item.key.stamp
        self.becomes(number, 'held')
        self.held.setdefault(worker.name, []).append(number)
        self.commit()
        worker.inbox.append(number)
        return item

    def outputs_of(self, number: int, count: int) -> list[str]:
        return [f'output {index} of {number}' for index in range(count)]

    def answer(self, slot: int, position: int, outputs: int) -> None:
        """Let a worker answer, mostly its first item, with any number of outputs."""
        worker = self.worker_of(slot)
        if worker.is_alive:
            worker.receive()
        if worker.received and worker.is_alive:
            number = worker.take(position)
            answer = ('complete', number, self.outputs_of(number, outputs))
            worker.recent_answers.append(answer)
            self.apply_answer(worker.name, answer)
            self.answered.append((worker.name, number))

    def answer_late(self, which: int, outputs: int) -> None:
        """Deliver an answer of a worker that has exited."""
        if self.on_the_way:
            name, number = self.on_the_way.pop(which % len(self.on_the_way))
            self.apply_answer(name, ('complete', number, self.outputs_of(number, outputs)))

    def answer_twice(self, which: int, outputs: int) -> None:
        """Deliver an answer a second time."""
        if self.answered:
            name, number = self.answered[which % len(self.answered)]
            assert self.status[number] in FINAL, 'an item was unfinished after it had been answered'
            self.apply_answer(name, ('complete', number, self.outputs_of(number, outputs)))

    def answer_the_unknown(self, slot: int) -> None:
        """Deliver answers to numbers that no item has, or that were never assigned."""
        worker = self.worker_of(slot)
        for number in (-1, len(self.keys), *list(self.waiting)[:1]):
            assert self.ledger.complete(worker.name, number, ['nonsense']) == NOTHING
            assert self.ledger.nack(worker.name, number) == NOTHING
            assert self.ledger.fail(worker.name, number, 'nonsense') == NOTHING
            self.counts('duplicate_answers', recorded=False)
        assert self.uncommitted == []

    def report(self, slot: int, kind: str) -> None:
        """Let a worker answer the first item it has without an output."""
        worker = self.worker_of(slot)
        if worker.is_alive:
            worker.receive()
        if worker.received and worker.is_alive:
            answer: tuple[str, int, list[str]] = (kind, worker.take(0), [])
            worker.recent_answers.append(answer)
            self.apply_answer(worker.name, answer)

    def fail_late(self, which: int) -> None:
        """Deliver a failure of a dead worker: it has no effect unless the name is in use again."""
        if self.on_the_way:
            name, number = self.on_the_way.pop(which % len(self.on_the_way))
            if number not in self.held.get(name, ()):
                assert self.ledger.fail(name, number, 'late') == NOTHING
                assert self.ledger.nack(name, number) == NOTHING
                assert self.uncommitted == []

    def call_ledger(self, name: str, kind: str, number: int, outputs: list[str]) -> Settled:
        if kind == 'complete':
            return self.ledger.complete(name, number, outputs)
        if kind == 'fail':
            return self.ledger.fail(name, number, 'failed')
        settled: Settled = getattr(self.ledger, kind)(name, number)
        return settled

    def apply_answer(self, name: str, answer: tuple[str, int, list[str]]) -> None:
        """Deliver an answer, for the first time or again: the first one counts."""
        kind, number, outputs = answer
        settled = self.call_ledger(name, kind, number, outputs)
        held = self.held.get(name, [])
        holds = number in held
        if holds:
            held.remove(number)
        quarantined = []
        if kind in ('fail', 'nack'):
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
        if kind in ('fail', 'nack'):
            self.account_for_the_unrecoverable()
        self.check_settled(settled, quarantined)
        self.commit()

    # -- workers start and exit --------------------------------------------------------------------

    def kill(self, slot: int, *, suspected: int, on_the_way: int) -> None:
        """Kill a worker; the first ``on_the_way`` of its answers may still come.

        ``suspected``: the position of the suspect among the items it has; -1 for none. One
        more than it has stands for an item that it was never assigned.
        """
        slot %= len(self.workers)
        worker = self.workers[slot]
        worker.receive()
        self.on_the_way += [(worker.name, number) for number in list(worker.received)[:on_the_way]]
        suspect: int | None = None
        if suspected >= 0:
            suspect = [*worker.received, -1][min(suspected, len(worker.received))]
        worker.is_alive = False
        self.workers[slot] = self.new_worker(worker.name)
        self.release(worker, suspect)

    def new_worker(self, name: str) -> Worker:
        self.worker_count += 1
        if self.names_are_reused:
            return Worker(name)
        return Worker(f'{name.partition("#")[0]}#{self.worker_count}')

    def add_a_worker(self) -> None:
        if len(self.workers) < MOST_SLOTS:
            taken = {worker.name.partition('#')[0] for worker in self.workers}
            free = (f'worker_{slot}' for slot in range(MOST_SLOTS))
            self.workers.append(self.new_worker(next(name for name in free if name not in taken)))

    def remove_a_worker(self, slot: int) -> None:
        """Stop a worker: it returns the items it has and exits."""
        if len(self.workers) > 1:
            worker = self.workers.pop(slot % len(self.workers))
            if worker.is_alive:
                worker.receive()
                while worker.received:
                    self.apply_answer(worker.name, ('nack', worker.take(0), []))
            worker.is_alive = False
            self.release(worker, None)

    def release(self, worker: Worker, suspect: int | None) -> None:
        settled = self.ledger.release(worker.name, 'died', suspect)
        quarantined = []
        for number in self.held.pop(worker.name, ()):
            if self.status[number] != 'held':
                continue
            if number == suspect:
                self.suspects[number] = (*self.suspects.get(number, ()), worker.name)
                quarantined += self.attempted(number)
            else:
                self.returns(number)
        self.account_for_the_unrecoverable()
        self.check_settled(settled, quarantined)
        self.commit()

    def empty_the_follower(self) -> None:
        """Complete all items of the follower: each output was forwarded once, in order."""
        while self.at_follower:
            item = self.follower.assign('sink')
            assert item is not None
            assert item.payload == self.at_follower.popleft()
            assert self.follower.complete('sink', item.number) == Settled([], [])
        assert self.follower.assign('sink') is None
        self.commit()

    def drain(self) -> None:
        """Kill all workers and let one new worker process all that is left."""
        for slot in range(len(self.workers)):
            self.kill(slot, suspected=-1, on_the_way=0)
        for _ in self.keys:
            if self.assign(0) is None:
                break
            self.answer(0, 0, 1)
        else:
            pytest.fail(f'still not empty: {self.ledger.waiting} waiting')

    def check_the_end(self, *, journal: bool) -> None:
        """Check after a drain that every item is accounted for, once, and order was kept.

        ``journal``: whether it was on all the time, so that nothing may be lost.
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
        assert len(self.quarantined) == self.status_count['quarantined']
        assert len(set(self.quarantined)) == len(self.quarantined)
        if journal:
            assert (self.dropped_as_lost, self.lost_outputs) == ([], set())
            assert self.payload_lost == set()
            assert self.follower.counters.dropped == 0
        in_order = [number for number, _ in self.delivered if number in self.ordered_items]
        assert in_order == sorted(in_order), 'out of order'
