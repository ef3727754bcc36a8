# SPDX-License-Identifier: Apache-2.0
"""Crashes of the manager that keeps a stage's ledger, and policies that change."""

from __future__ import annotations

import marshal
import random
from collections import deque

from support.ledger_account import (
    FINAL,
    MOST_SLOTS,
    Facts,
    Worker,
)
from support.ledger_model import LedgerModel
from worker_pipeline.core.item import ItemKey
from worker_pipeline.core.ledger import Ledger, Overflow


class CrashingLedgerModel(LedgerModel):
    """A ledger whose manager may crash: it is restored from the committed records."""

    def change_policy(self, chance: random.Random) -> None:
        self.draw_policy(chance)
        self.ledger.set_policy(**self.policy)
        self.commit()

    def draw_policy(self, chance: random.Random) -> None:
        self.policy = {
            'queue_size': chance.randrange(1, 8),
            'overflow': chance.choice(list(Overflow)),
            'max_attempts': chance.randrange(1, 4),
            'ordered': chance.random() < 0.7,
        }
        self.longest_queue = max(self.longest_queue, self.policy['queue_size'])

    def crash(self, chance: random.Random) -> None:
        """Kill the manager, and restore the ledgers from the committed records."""
        assert self.uncommitted == []
        self.crashes += 1
        ledgers = (self.ledger, self.follower)
        before = [each.snapshot(payloads=self.journal) for each in ledgers]
        self.start_an_event_that_is_never_committed(chance)
        self.uncommitted.clear()
        for worker in self.workers:
            self.let_run_without_manager(worker, chance)

        facts: Facts = []
        self.ledger = self.kind(queue_size=1, max_attempts=9, record=self.recorder('stage'))
        self.follower = Ledger(queue_size=1, record=self.recorder('follower'))
        ledgers = (self.ledger, self.follower)
        for each, state in zip(ledgers, marshal.loads(self.snapshot), strict=True):
            each.restore(state)
        for call in self.committed:
            whose, name, arguments = marshal.loads(call)
            if whose == 'stage':
                facts += map(tuple, self.ledger.replay(name, arguments).delivered)
            else:
                self.follower.replay(name, arguments)
        assert self.uncommitted == [], 'replayed calls were recorded again'
        assert facts == self.facts, 'the replay settled other outputs'
        restored = [each.snapshot(payloads=self.journal) for each in ledgers]
        for name, total in self.unrecorded_counts.items():
            self.tally[name] -= total
        assert restored[0].pop('counters') == self.tally
        before[0].pop('counters')
        assert restored == before

        if chance.random() < 0.3:
            self.draw_policy(chance)
        self.ledger.set_policy(**self.policy)
        self.uncommitted.clear()
        self.resume(chance)
        if chance.random() < 0.1:
            self.journal = not self.journal
            self.was_ever_without_journal = True
        self.take_snapshot()

    def start_an_event_that_is_never_committed(self, chance: random.Random) -> None:
        """Start the event during which the manager is killed; the account does not count it."""
        ledger, worker = self.ledger, self.worker_of(chance.randrange(MOST_SLOTS))
        event = chance.choice(('none', 'none', 'arrival', 'answer', 'answer', 'death', 'flush'))
        if event == 'arrival':
            source = self.sources[chance.randrange(self.active_sources)]
            ledger.accept(ItemKey(source, self.clocks[source] + 1), 'never committed', 0.0)
        elif event == 'answer' and worker.is_alive:
            worker.receive()
            if worker.received:
                self.answer_while_disconnected(worker, chance)
                kind, number, outputs = worker.recent_answers[-1]
                self.call_ledger(worker.name, kind, number, outputs)
        elif event == 'death' and worker.is_alive:
            worker.is_alive = False
            ledger.release(worker.name, 'died', worker.received[0] if worker.received else None)
        elif event == 'flush':
            ledger.flush()
        for each in range(chance.randrange(3)):
            ledger.assign(f'worker_{each}')

    def answer_while_disconnected(self, worker: Worker, chance: random.Random) -> None:
        number = worker.take(0)
        kind = chance.choice(('complete', 'complete', 'complete', 'fail', 'nack'))
        outputs = self.outputs_of(number, chance.randrange(3)) if kind == 'complete' else []
        worker.recent_answers.append((kind, number, outputs))

    def let_run_without_manager(self, worker: Worker, chance: random.Random) -> None:
        """Let a worker process its received items, or die, while there is no manager."""
        reached = chance.randrange(len(worker.inbox) + 1)
        worker.inbox = deque(list(worker.inbox)[:reached])
        worker.receive()
        worker.is_known = False
        if worker.is_alive:
            for _ in range(chance.randrange(len(worker.received) + 1)):
                self.answer_while_disconnected(worker, chance)
            worker.is_alive = chance.random() < 0.8

    def resume(self, chance: random.Random) -> None:
        """Resume with the payloads that workers kept; without a journal all others are lost."""
        here = [number for number in self.status if self.status[number] not in FINAL]
        payloads: dict[int, str] = {}
        if not self.journal:
            had = {number for worker in self.workers for number in worker.received}
            had.update(self.returned)
            kept = [number for number in here if number in had and chance.random() < 0.7]
            payloads = {number: f'payload of {number}' for number in kept}
            self.payload_lost = set(here)
            for number in self.order:
                self.lost_outputs.update((number, each) for each in self.outputs.get(number, ()))
                if number in self.outputs:
                    self.outputs[number] = []
        self.payload_lost.difference_update(payloads)
        settled = self.ledger.resume(payloads)
        for number in [each for each in self.waiting if each in self.payload_lost]:
            self.waiting.remove(number)
            self.becomes(number, 'dropped')
            self.dropped_as_lost.append(number)
            self.counts('dropped')
        self.account_for_the_unrecoverable()
        self.check_settled(settled, [])
        assert all(call[0] == 'follower' for call in self.uncommitted), 'resume is not recorded'
        self.follower.resume({})
        if not self.journal:
            self.at_follower.clear()
        assert self.follower.waiting == len(self.at_follower)

    def reconnect(self, slot: int, *, has_suspect: bool, repeats_first: bool, late: int) -> None:
        """Find a worker after a crash: it is dead, or reports its items and gets the rest.

        Args:
            slot: the worker's.
            has_suspect: if it is dead, whether it was processing its first item.
            repeats_first: whether its recent answers come before the list of its items.
            late: how many items that are sent again were under way, and arrive twice.
        """
        slot %= len(self.workers)
        worker = self.workers[slot]
        if worker.is_known:
            return
        if not worker.is_alive:
            self.kill(slot, suspected=0 if has_suspect else -1, on_the_way=0)
            return
        worker.is_known = True
        remembered = list(worker.recent_answers)
        has = [*worker.received, *(number for _, number, _ in remembered)]
        if repeats_first:
            for answer in remembered:
                self.apply_answer(worker.name, answer)
        resent, settled = self.ledger.reconcile(worker.name, has)
        held = self.held.get(worker.name, [])
        missing = [number for number in held if number not in has]
        unfinished = [number for number in missing if self.status[number] == 'held']
        sent = [number for number in unfinished if number not in self.payload_lost]
        assert [item.number for item in resent] == sent
        assert [item.payload for item in resent] == [f'payload of {number}' for number in sent]
        for number in missing:
            if number not in sent:
                held.remove(number)
                if self.status[number] == 'held':
                    self.returns(number)
        self.account_for_the_unrecoverable()
        self.check_settled(settled, [])
        self.commit()
        worker.inbox += sent[:late] + sent
        self.sent_twice.update(sent[:late])
        if not repeats_first:
            for answer in remembered:
                self.apply_answer(worker.name, answer)
