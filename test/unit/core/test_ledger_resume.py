# SPDX-License-Identifier: Apache-2.0
"""Checks how a restored ledger continues when some messages no longer exist."""

from __future__ import annotations

import pytest
from support.ledgers import (
    accept,
    assign,
    assigned,
    busy_ledger,
    complete,
    make_ledger,
    outputs,
    restored,
)

from worker_pipeline.core.ledger import NOTHING, Acceptance, Counters


def test_resuming_with_all_payloads_recorded_changes_nothing():
    """Payloads kept elsewhere are ignored."""
    ledger = busy_ledger()
    successor = restored(ledger, payloads=True)
    assert successor.resume({5: 'another', 99: 'unknown'}) == NOTHING
    assert successor.snapshot(payloads=True) == ledger.snapshot(payloads=True)


def test_without_payloads_only_items_held_by_workers_continue():
    """Queued and returned items are dropped and counted, unless a worker kept their payload."""
    successor = restored(busy_ledger(), payloads=False)
    assert successor.resume({5: 'kept 5', 8: 'kept 8'}) == NOTHING
    assert successor.counters.dropped == 3
    assert (
        successor.waiting,
        successor.in_flight,
        successor.held_by('b'),
        successor.held_by('d'),
    ) == (2, 1, 1, 1)
    assert [(item.number, item.payload) for item in assigned(successor, 'e', 9)] == [
        (5, 'kept 5'),
        (8, 'kept 8'),
    ]
    for stamp in (70, 90):
        assert accept(successor, stamp) is Acceptance.DUPLICATE, 'still known'
    counters = successor.counters
    assert counters.accepted == (
        successor.waiting + successor.in_flight + counters.completed + counters.dropped
    )


def test_outputs_awaiting_order_are_discarded_without_their_payload():
    """No output without content is delivered; their places delay no other output."""
    successor = restored(busy_ledger(), payloads=False)
    successor.resume({})
    assert successor.awaiting_order == 4, 'two whose outputs are gone, two that were dropped'
    assert complete(successor, 'd', 2) == ['out 2']
    assert successor.awaiting_order == 0
    assert successor.counters.delivered == 2
    assert successor.empty


def test_outputs_awaiting_order_are_delivered_if_their_payload_was_recorded():
    """Also when the item they awaited is dropped."""
    successor = restored(busy_ledger(), payloads=True)
    successor.resume({})
    successor.release('d', 'killed')
    assert outputs(successor.drop([2])) == ['out 3', 'out 4']


def test_an_item_whose_worker_died_after_a_crash_is_dropped_unless_its_payload_was_kept():
    """With its payload it is assigned again; dropping it delivers the outputs behind it."""
    ledger = make_ledger(3)
    for worker in 'abc':
        assign(ledger, worker)
    successor = restored(ledger, payloads=False)
    assert successor.resume({2: 'kept 2'}) == NOTHING
    assert complete(successor, 'c', 3) == []
    assert successor.release('b', 'died meanwhile', suspect=2) == NOTHING
    (item,) = assigned(successor, 'c')
    assert (item.number, item.payload, item.suspects) == (2, 'kept 2', ('b',))
    assert complete(successor, 'c', 2) == []
    settled = successor.release('a', 'died meanwhile', suspect=1)
    assert outputs(settled) == ['out 2', 'out 3']
    assert successor.counters.dropped == 1
    assert successor.empty


@pytest.mark.parametrize('call', ['release', 'fail', 'nack'])
def test_an_item_taken_back_before_resuming_is_kept_for_its_payload(call: str):
    """Workers that died with the manager are released first; ``resume`` supplies the payloads."""
    ledger = make_ledger(2)
    assign(ledger, 'a', 2)
    successor = restored(ledger, payloads=False)
    if call == 'release':
        successor.release('a', 'died without a manager')
    else:
        for number in (1, 2):
            getattr(successor, call)('a', number, *(['boom'] if call == 'fail' else []))
    assert successor.counters.dropped == 0
    successor.resume({2: 'kept 2'})
    assert successor.counters.dropped == 1
    assert [item.payload for item in assigned(successor, 'b', 2)] == ['kept 2']


def test_a_live_worker_may_answer_for_an_item_without_a_payload():
    """Its answer counts once."""
    ledger = make_ledger(1)
    assign(ledger, 'a')
    successor = restored(ledger, payloads=False)
    successor.resume({})
    assert successor.reconcile('a', [1]) == ([], NOTHING)
    assert complete(successor, 'a', 1) == ['out 1']
    assert complete(successor, 'a', 1) == []
    assert successor.counters.duplicate_answers == 1


@pytest.mark.parametrize('call', ['fail', 'nack'])
def test_an_item_without_a_payload_is_dropped_when_its_worker_fails_or_returns_it(call: str):
    """There is no message to assign again."""
    ledger = make_ledger(2)
    assign(ledger, 'a', 2)
    successor = restored(ledger, payloads=False)
    successor.resume({})
    assert complete(successor, 'a', 2) == []
    settled = successor.fail('a', 1, 'boom') if call == 'fail' else successor.nack('a', 1)
    assert outputs(settled) == ['out 2']
    assert successor.counters.dropped == 1
    assert successor.empty


def test_counters_continue_after_a_crash():
    """Each counter is part of the snapshot."""
    ledger = busy_ledger()
    successor = restored(ledger, payloads=False)
    for name in Counters.__slots__:
        assert getattr(successor.counters, name) == getattr(ledger.counters, name)
    assert successor.counters.completed == 3
