# SPDX-License-Identifier: Apache-2.0
"""Checks that a ledger can be restored from its snapshot, and that its policy can change."""

from __future__ import annotations

import copy
import marshal

from support.ledgers import (
    POLICY,
    accept,
    assign,
    assigned,
    busy_ledger,
    complete,
    key,
    make_ledger,
    recording_ledger,
    restored,
)

from worker_pipeline.core.ledger import NOTHING, Acceptance, Ledger, Overflow


def test_a_restored_ledger_equals_the_original_and_continues_alike():
    """The snapshot survives ``marshal``; the same calls then lead to the same state."""
    ledger = busy_ledger()
    before = ledger.snapshot(payloads=True)
    successor = restored(ledger, payloads=True)
    assert successor.snapshot(payloads=True) == before
    for each in (ledger, successor):
        for stamp in (10, 20, 50, 70):
            assert accept(each, stamp) is Acceptance.DUPLICATE, (
                'finished, in flight, returned, queued'
            )
        assert accept(each, 100) is Acceptance.ACCEPTED
        items = assigned(each, 'e', 10)
        assert [(item.number, item.payload, item.attempts, item.suspects) for item in items] == [
            (5, 'camera@50', 0, ()),
            (6, 'camera@60', 1, ('c',)),
            (7, 'camera@70', 0, ()),
            (8, 'camera@80', 0, ()),
            (9, 'camera@90', 0, ()),
            (10, 'camera@100', 0, ()),
        ]
        assert complete(each, 'd', 2) == ['out 2', 'out 3', 'out 4']
        ((item, _),) = each.release('e', 'killed', suspect=6).quarantined
        assert item.suspects == ('c', 'e')
    assert successor.snapshot(payloads=True) == ledger.snapshot(payloads=True)


def test_a_snapshot_is_not_changed_by_later_calls():
    """Neither by its own ledger nor by one restored from it."""
    ledger = busy_ledger()
    before = ledger.snapshot(payloads=True)
    kept = copy.deepcopy(before)
    successor = Ledger(queue_size=1)
    successor.restore(before)
    for each in (ledger, successor):
        assign(each, 'e', 2)
        complete(each, 'd', 2)
        each.release('e', 'killed', suspect=5)
        each.flush()
        each.resume({})
    assert before == kept


def test_a_snapshot_without_payloads_omits_only_the_payloads():
    """It holds neither messages nor outputs; all else is the same."""
    ledger = busy_ledger()
    written = marshal.dumps(ledger.snapshot(payloads=False))
    assert b'camera@' not in written
    assert b'out ' not in written
    successor = restored(ledger, payloads=False)
    assert successor.snapshot(payloads=True) == ledger.snapshot(payloads=False)
    assert (successor.waiting, successor.in_flight, successor.awaiting_order) == (5, 1, 2)


def test_restoring_replaces_the_whole_state():
    """Nothing of the former state is left, its counters and its order included."""
    state = make_ledger(1).snapshot(payloads=True)
    ledger = busy_ledger()
    ledger.restore(state)
    assert ledger.snapshot(payloads=True) == state
    assert not ledger.knows(key(20))
    assert ledger.workers == []
    assert assign(ledger, 'a', 2) == [1]
    assert complete(ledger, 'a', 1) == ['out 1']


def test_a_restored_ledger_continues_the_numbering():
    """No number is used twice."""
    ledger = make_ledger(3)
    ledger.flush()
    successor = restored(ledger, payloads=True)
    accept(successor, 40)
    assert assign(successor, 'a') == [4]


def test_a_ledger_is_restored_under_the_policy_of_its_snapshot():
    """Recorded calls are replayed under that policy; another may be set afterwards."""
    ledger, calls = recording_ledger(
        2, queue_size=2, overflow=Overflow.BLOCK, max_attempts=3, ordered=False
    )
    successor = restored(ledger, payloads=True)
    assign(ledger, 'a', 2)
    ledger.release('a', 'killed', suspect=1)
    assign(ledger, 'a', 2)
    assert ledger.fail('a', 1, 'boom') == NOTHING
    assert accept(ledger, 30) is Acceptance.ACCEPTED
    assert complete(ledger, 'a', 2) == ['out 2']
    for name, arguments in calls:
        successor.replay(name, arguments)
    assert successor.snapshot(payloads=True) == ledger.snapshot(payloads=True)
    assert successor.overflow is Overflow.BLOCK
    policy = (successor.queue_size, successor.overflow, successor.max_attempts, successor.ordered)
    assert policy == (2, Overflow.BLOCK, 3, False)
    successor.set_policy(queue_size=1, overflow=Overflow.DROP_OLDEST, max_attempts=1, ordered=True)
    policy = (successor.queue_size, successor.overflow, successor.max_attempts, successor.ordered)
    assert policy == (1, Overflow.DROP_OLDEST, 1, True)
    assert successor.snapshot(payloads=True)['policy'] == (1, 'drop_oldest', 1, True)


def test_a_new_policy_applies_to_later_calls():
    """A shorter queue keeps its items; order concerns items assigned from then on."""
    ledger = make_ledger(4, ordered=False, max_attempts=5)
    assign(ledger, 'a')
    ledger.set_policy(queue_size=1, overflow=Overflow.DROP_OLDEST, max_attempts=1, ordered=True)
    assert ledger.waiting == 3
    assert assign(ledger, 'a', 2) == [2, 3]
    assert complete(ledger, 'a', 3) == []
    assert ledger.fail('a', 1, 'boom').quarantined != []
    assert complete(ledger, 'a', 2) == ['out 2', 'out 3']
    ledger.set_policy(**{**POLICY, 'ordered': False})
    assert assign(ledger, 'a') == [4]
    assert complete(ledger, 'a', 4) == ['out 4']


def test_ordered_items_keep_their_order_when_ordering_is_switched_off():
    """Items assigned after that overtake them."""
    ledger = make_ledger(3)
    assign(ledger, 'a', 2)
    ledger.set_policy(**{**POLICY, 'ordered': False})
    assign(ledger, 'a')
    assert complete(ledger, 'a', 2) == []
    assert complete(ledger, 'a', 3) == ['out 3']
    assert complete(ledger, 'a', 1) == ['out 1', 'out 2']


def test_a_record_is_replayed_under_each_policy_in_turn():
    """A change of policy is recorded, as a longer queue drops other items than a shorter one."""
    ledger, calls = recording_ledger(1, queue_size=1)
    successor = restored(ledger, payloads=True)
    ledger.set_policy(**{**POLICY, 'queue_size': 3})
    for stamp in (20, 30, 40):
        accept(ledger, stamp)
    ledger.set_policy(**{**POLICY, 'queue_size': 3, 'max_attempts': 1})
    assign(ledger, 'a')
    ledger.fail('a', 2, 'boom')
    assert calls[0] == ('set_policy', (3, 'drop_oldest', 2, True))
    for name, arguments in calls:
        successor.replay(name, arguments)
    assert successor.snapshot(payloads=True) == ledger.snapshot(payloads=True)


def test_setting_the_same_policy_again_is_not_recorded():
    """Each difference is, and only as plain values."""
    ledger, calls = recording_ledger()
    ledger.set_policy(**POLICY)
    assert calls == []
    ledger.set_policy(**{**POLICY, 'overflow': Overflow.BLOCK})
    ledger.set_policy(**{**POLICY, 'overflow': Overflow.BLOCK, 'ordered': False})
    assert calls == [
        ('set_policy', (100, 'block', 2, True)),
        ('set_policy', (100, 'block', 2, False)),
    ]
