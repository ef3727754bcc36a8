# SPDX-License-Identifier: Apache-2.0
"""Checks a ledger's records, and that replaying the record leads to the same state."""

from __future__ import annotations

import marshal
from typing import Any

import pytest
from support.ledgers import (
    POLICY,
    Calls,
    accept,
    assign,
    complete,
    history,
    key,
    make_ledger,
    recording_ledger,
    restored,
)

from worker_pipeline.core.ledger import NOTHING, Acceptance, Ledger, Overflow


def test_replaying_a_record_leads_to_the_same_results_and_state():
    """Every kind of call survives ``marshal`` and yields the same facts again."""
    calls: list[bytes] = []
    policy: dict[str, Any] = {'queue_size': 5, 'max_attempts': 2}
    ledger = Ledger(**policy, record=lambda *call: calls.append(marshal.dumps(call)))
    settled = history(ledger)
    assert sum(len(each.delivered) for each in settled) == 3
    assert sum(len(each.quarantined) for each in settled) == 1

    successor = Ledger(**policy)
    replayed = [successor.replay(*marshal.loads(call)) for call in calls]
    facts = [each for one in settled for each in one.delivered]
    assert [each for one in replayed for each in one.delivered] == facts
    assert [each.item.number for one in replayed for each in one.quarantined] == [1]
    assert {marshal.loads(call)[0] for call in calls} == {
        'accept',
        'assign',
        'complete',
        'drop',
        'fail',
        'flush',
        'mark_undelivered',
        'nack',
        'refuse',
        'release',
        'retract',
        'set_policy',
    }
    expected, made = (each.snapshot(payloads=True) for each in (ledger, successor))
    unrecorded = {'duplicates', 'duplicate_answers'}
    for state in (expected, made):
        state['counters'] = {
            name: total for name, total in state['counters'].items() if name not in unrecorded
        }
    assert made == expected


@pytest.mark.parametrize('length', range(31))
def test_a_snapshot_at_any_point_plus_the_rest_of_the_record_leads_to_the_same_state(length: int):
    """It does not matter where the snapshot was taken."""
    calls: Calls = []
    ledger = Ledger(queue_size=5, record=lambda *call: calls.append(call))
    history(ledger)
    assert length <= len(calls)
    successor = Ledger(queue_size=5)
    for call in calls[:length]:
        successor.replay(*call)
    successor = restored(successor, payloads=True)
    for call in calls[length:]:
        successor.replay(*call)
    expected, made = (each.snapshot(payloads=True) for each in (ledger, successor))
    for state in (expected, made):
        del state['counters']
    assert made == expected


def test_calls_that_change_nothing_are_not_recorded():
    """Among them duplicates, refusals, and calls for items that the worker does not hold."""
    ledger, calls = recording_ledger(4, queue_size=2, overflow=Overflow.BLOCK)
    assert assign(ledger, 'a', 2) == [1, 2]
    complete(ledger, 'a', 1)
    accept(ledger, 50)
    accept(ledger, 60)
    calls.clear()
    before = ledger.snapshot(payloads=True)
    assert accept(ledger, 10) is Acceptance.DUPLICATE
    assert accept(ledger, 70) is Acceptance.REFUSED
    complete(ledger, 'a', 1)
    ledger.retract('a', 1)
    ledger.refuse('a', 1)
    for number in (1, 2, 3, 99):
        ledger.fail('b', number, 'boom')
        ledger.nack('b', number)
    complete(ledger, 'b', 3)
    ledger.release('b', 'killed', 2)
    ledger.reconcile('a', [2])
    ledger.mark_undelivered('a', [1])
    ledger.drop([1, 2, 3])
    ledger.set_policy(**{**POLICY, 'queue_size': 2, 'overflow': Overflow.BLOCK})
    assert calls == []
    after = ledger.snapshot(payloads=True)
    for state in (before, after):
        state.pop('counters')
    assert after == before
    assert make_ledger().flush() == 0


def test_flushing_an_empty_queue_is_not_recorded():
    """Flushing a single item is."""
    ledger, calls = recording_ledger()
    ledger.flush()
    assert ledger.assign('a') is None
    assert calls == []
    accept(ledger, 10)
    ledger.flush()
    assert calls[1:] == [('flush', ())]


def test_a_call_is_recorded_as_plain_values():
    """Its name and arguments are recorded, outputs as a tuple."""
    ledger, calls = recording_ledger()
    ledger.accept(key(10), b'bytes', 1.5)
    ledger.assign('a')
    ledger.release('a', 'killed', 1)
    ledger.assign('b')
    ledger.complete('b', 1, iter([b'out']))
    assert calls == [
        ('accept', ('camera', 10, b'bytes', 1.5, 0)),
        ('assign', ('a',)),
        ('release', ('a', 'killed', 1)),
        ('assign', ('b',)),
        ('complete', ('b', 1, (b'out',))),
    ]


def test_an_answer_that_only_frees_its_worker_is_recorded():
    """Another worker had finished the item; the worker's load has changed."""
    ledger, calls = recording_ledger(1)
    assign(ledger, 'a')
    ledger.release('a', 'killed')
    assign(ledger, 'b')
    complete(ledger, 'a', 1)
    calls.clear()
    complete(ledger, 'b', 1)
    assert calls == [('complete', ('b', 1, ('out 1',)))]


def test_replaying_and_resuming_are_not_recorded():
    """Calls after that are."""
    ledger, calls = recording_ledger(2)
    state = ledger.snapshot(payloads=False)
    assign(ledger, 'a')
    ledger.nack('a', 1)
    successor, calls_after = recording_ledger()
    successor.restore(state)
    for call in list(calls):
        successor.replay(*call)
    successor.resume({})
    assert successor.counters.dropped == 2
    assert calls_after == []
    accept(successor, 30)
    assert [name for name, _ in calls_after] == ['accept']


def test_dropping_an_unrecoverable_item_is_recorded_and_not_repeated_by_the_replay():
    """The record names the dropped item, so the replay drops that one and no other."""
    ledger, calls = recording_ledger(2)
    assign(ledger, 'a', 2)
    ledger.nack('a', 1)
    ledger.restore(ledger.snapshot(payloads=False))
    ledger.resume({1: 'kept 1'})
    state = ledger.snapshot(payloads=False)
    calls.clear()
    ledger.nack('a', 2)
    assert ledger.counters.dropped == 1
    assert calls == [('nack', ('a', 2)), ('drop', ((2,),))]

    successor = make_ledger()
    successor.restore(state)
    assert successor.replay(*calls[0]) == NOTHING
    assert (successor.counters.dropped, successor.waiting) == (0, 2)
    successor.replay(*calls[1])
    assert successor.snapshot(payloads=False) == ledger.snapshot(payloads=False)


def test_a_recorded_item_is_accepted_again_whatever_the_size_of_a_blocking_queue():
    """It had a reserved place, which the record does not contain."""
    policy = {'queue_size': 1, 'overflow': Overflow.BLOCK}
    ledger, calls = recording_ledger(**policy)
    for stamp in (10, 20):
        assert ledger.accept(key(stamp), '', 0.0, capacity=2)[0] is Acceptance.ACCEPTED
    successor = make_ledger(**policy)
    for call in calls:
        successor.replay(*call)
    assert successor.snapshot(payloads=True) == ledger.snapshot(payloads=True)
    assert accept(successor, 30) is Acceptance.REFUSED
