# SPDX-License-Identifier: Apache-2.0
"""Checks which items a ledger accepts, drops, and recognises as duplicates."""

from __future__ import annotations

import pytest
from support.ledgers import POLICY, accept, assign, assigned, complete, key, make_ledger

from worker_pipeline.core.ledger import NOTHING, Acceptance, Delivered, Ledger, Overflow

# Where an item may be, and how it may have ended.
PHASES = ('queued', 'in flight', 'returned', 'completed', 'flushed', 'pushed out', 'dropped')
PHASES += ('quarantined', 'retracted', 'refused')


def test_a_new_ledger_is_empty():
    """A new ledger has no items, no workers, and all its counters are zero."""
    ledger = make_ledger()
    assert ledger.empty
    assert (ledger.waiting, ledger.in_flight, ledger.awaiting_order, ledger.outstanding) == (
        0,
        0,
        0,
        0,
    )
    assert ledger.workers == []
    assert all(getattr(ledger.counters, name) == 0 for name in ledger.counters.__slots__)


def test_an_accepted_item_is_queued_known_and_counted():
    """Accepting an item queues it, remembers its key, and counts it."""
    ledger = make_ledger()
    assert ledger.accept(key(7), b'bytes', 1.5) == (Acceptance.ACCEPTED, None)
    assert ledger.waiting == 1
    assert ledger.knows(key(7))
    assert ledger.counters.accepted == 1
    assert not ledger.empty


def test_departed_through_is_true_once_all_items_up_to_a_number_left():
    """A queued, in-flight or returned item, or an output awaiting its order, has not departed."""
    ledger = make_ledger(3)
    assert ledger.last_number == 3
    assert ledger.departed_through(0)
    assert not ledger.departed_through(1)
    assigned(ledger, 'a', 2)
    complete(ledger, 'a', 2)
    assert not ledger.departed_through(2)
    assert ledger.unfinished == 3  # the second is awaiting_order
    ledger.release('a', 'died')
    assert not ledger.departed_through(1)
    assigned(ledger, 'b', 1)
    complete(ledger, 'b', 1)
    assert ledger.departed_through(2)
    assert not ledger.departed_through(3)
    accept(ledger, 40)
    assert ledger.flush() == 2
    assert ledger.departed_through(ledger.last_number)
    assert ledger.last_number == 4
    assert ledger.unfinished == 0


def test_an_item_keeps_its_payload_and_acceptance_time():
    """The worker gets the payload that came in; the output carries the item's acceptance time."""
    ledger = make_ledger()
    ledger.accept(key(7), b'bytes', 1.5)
    (item,) = assigned(ledger, 'a')
    assert (item.number, item.key, item.payload, item.accepted_at) == (1, key(7), b'bytes', 1.5)
    assert (item.attempts, item.suspects) == (0, ())
    assert ledger.complete('a', 1, ['out']).delivered == [Delivered(key(7), 'out', 1.5)]


def test_only_accepted_items_are_numbered():
    """Numbers start at 1; refused items and duplicates get none."""
    ledger = make_ledger(2, queue_size=2, overflow=Overflow.BLOCK)
    assert accept(ledger, 10) is Acceptance.DUPLICATE
    assert accept(ledger, 30) is Acceptance.REFUSED
    assert assign(ledger, 'a', 2) == [1, 2]
    accept(ledger, 40)
    assert assign(ledger, 'a') == [3]


@pytest.mark.parametrize('phase', PHASES)
def test_a_second_item_with_the_same_key_is_a_duplicate_in_every_phase(phase: str):
    """An item whose key is known is counted as a duplicate and not accepted."""
    ledger = make_ledger(1, max_attempts=1, queue_size=1)
    if phase == 'flushed':
        ledger.flush()
    elif phase == 'pushed out':
        accept(ledger, 20)
    elif phase != 'queued':
        assign(ledger, 'a')
    if phase in ('returned', 'dropped'):
        ledger.nack('a', 1)
    if phase == 'dropped':
        ledger.drop([1])
    if phase == 'completed':
        complete(ledger, 'a', 1)
    if phase == 'quarantined':
        ledger.fail('a', 1, 'boom')
    if phase == 'retracted':
        ledger.retract('a', 1)
    if phase == 'refused':
        ledger.refuse('a', 1)
    before = (ledger.waiting, ledger.in_flight, ledger.counters.accepted)
    assert accept(ledger, 10) is Acceptance.DUPLICATE
    assert ledger.counters.duplicates == 1
    assert (ledger.waiting, ledger.in_flight, ledger.counters.accepted) == before


def test_the_same_stamp_on_two_inputs_makes_two_items():
    """Both may be in flight at once, even at one worker; an answer concerns only one of them."""
    ledger = make_ledger()
    assert ledger.accept(key(5, 'left'), 'L', 0.0) == (Acceptance.ACCEPTED, None)
    assert ledger.accept(key(5, 'right'), 'R', 0.0) == (Acceptance.ACCEPTED, None)
    assert [(item.number, item.payload) for item in assigned(ledger, 'a', 2)] == [
        (1, 'L'),
        (2, 'R'),
    ]
    assert ledger.complete('a', 2, ['out']).delivered == []
    assert ledger.fail('a', 1, 'boom') == NOTHING
    assert assign(ledger, 'a') == [1]
    assert ledger.complete('a', 1, ['out']).delivered == [
        Delivered(key(5, 'left'), 'out', 0.0),
        Delivered(key(5, 'right'), 'out', 0.0),
    ]
    assert ledger.counters.duplicate_answers == 0


def test_a_full_queue_drops_its_oldest_item():
    """With ``drop_oldest`` the new item is accepted; the oldest is dropped and counted."""
    ledger = make_ledger(2, queue_size=2)
    acceptance, dropped = ledger.accept(key(30), '', 0.0)
    assert acceptance is Acceptance.ACCEPTED
    assert dropped is not None
    assert (dropped.number, dropped.key) == (1, key(10))
    assert ledger.counters.dropped == 1
    assert assign(ledger, 'a', 3) == [2, 3]


def test_items_in_flight_take_no_queue_space_and_are_never_dropped():
    """Only queued items count against the queue's size, and only they may be dropped."""
    ledger = make_ledger(2, queue_size=2)
    assert assign(ledger, 'a', 2) == [1, 2]
    for stamp in (30, 40, 50):
        accept(ledger, stamp)
    assert ledger.counters.dropped == 1
    assert [complete(ledger, 'a', number) for number in (1, 2)] == [['out 1'], ['out 2']]
    assert assign(ledger, 'a', 3) == [4, 5]


def test_returned_items_are_never_dropped_by_a_full_queue():
    """Items returned by a dead worker wait beside the queue, however full it is."""
    ledger = make_ledger(2, queue_size=2)
    assign(ledger, 'a', 2)
    ledger.release('a', 'killed')
    for stamp in (30, 40, 50):
        accept(ledger, stamp)
    assert ledger.waiting == 4
    assert assign(ledger, 'b', 5) == [1, 2, 4, 5]


def test_a_full_blocking_queue_refuses_an_item_without_remembering_it():
    """With ``block`` the item is refused and counted, and may be offered again."""
    ledger = make_ledger(2, queue_size=2, overflow=Overflow.BLOCK)
    assert ledger.accept(key(30), '', 0.0) == (Acceptance.REFUSED, None)
    assert not ledger.knows(key(30))
    assert (ledger.counters.refused, ledger.counters.dropped) == (1, 0)
    assert assign(ledger, 'a') == [1]
    assert accept(ledger, 30) is Acceptance.ACCEPTED


@pytest.mark.parametrize('overflow', Overflow)
def test_a_duplicate_offered_to_a_full_queue_is_a_duplicate(overflow: Overflow):
    """It neither drops an item nor is refused."""
    ledger = make_ledger(2, queue_size=2, overflow=overflow)
    assert accept(ledger, 20) is Acceptance.DUPLICATE
    assert (ledger.counters.dropped, ledger.counters.refused) == (0, 0)


def test_free_is_the_space_left_in_the_queue():
    """It is the queue's size less the queued items; items in flight do not count."""
    ledger = make_ledger(2, queue_size=3)
    assert ledger.free == 1
    assign(ledger, 'a')
    assert ledger.free == 2
    accept(ledger, 30)
    ledger.set_policy(**{**POLICY, 'queue_size': 1})
    assert ledger.free == 0


def test_a_capacity_of_its_own_replaces_the_queue_size_for_an_item():
    """It may be smaller, where places are reserved for others, or larger."""
    ledger = make_ledger(1, queue_size=2, overflow=Overflow.BLOCK)
    assert ledger.accept(key(20), '', 0.0, capacity=1)[0] is Acceptance.REFUSED
    assert ledger.counters.refused == 1
    assert ledger.accept(key(20), '', 0.0, capacity=2)[0] is Acceptance.ACCEPTED
    assert ledger.accept(key(30), '', 0.0, capacity=3)[0] is Acceptance.ACCEPTED
    assert (ledger.queued, ledger.free) == (3, 0)
    assert accept(ledger, 40) is Acceptance.REFUSED


def test_flush_drops_queued_items_only():
    """Items in flight and returned items stay."""
    ledger = make_ledger(5)
    assign(ledger, 'a')
    assign(ledger, 'b')
    ledger.release('b', 'killed')
    assert ledger.flush() == 3
    assert ledger.counters.dropped == 3
    assert (ledger.waiting, ledger.in_flight) == (1, 1)
    assert assign(ledger, 'c', 5) == [2]


def test_the_dedup_window_keeps_the_keys_finished_last(monkeypatch: pytest.MonkeyPatch):
    """Older finished keys are forgotten, and their items would be accepted again."""
    monkeypatch.setattr(Ledger, 'DEDUP_WINDOW', 3)
    ledger = make_ledger(5)
    assign(ledger, 'a', 5)
    for number in (3, 1, 2, 5, 4):
        complete(ledger, 'a', number)
    assert [stamp for stamp in (10, 20, 30, 40, 50) if ledger.knows(key(stamp))] == [20, 40, 50]
    assert accept(ledger, 10) is Acceptance.ACCEPTED
    assert ledger.counters.duplicates == 0


def test_keys_of_dropped_and_flushed_items_enter_the_dedup_window(monkeypatch: pytest.MonkeyPatch):
    """A dropped or flushed item is finished then, and its key leaves the window in turn."""
    monkeypatch.setattr(Ledger, 'DEDUP_WINDOW', 2)
    ledger = make_ledger(3, queue_size=2)
    assert ledger.knows(key(10))
    ledger.flush()
    assert [ledger.knows(key(stamp)) for stamp in (10, 20, 30)] == [False, True, True]
    assert accept(ledger, 10) is Acceptance.ACCEPTED


def test_unfinished_keys_never_leave_the_dedup_window(monkeypatch: pytest.MonkeyPatch):
    """Started, returned and queued items stay known; a late one enters when it is finished."""
    monkeypatch.setattr(Ledger, 'DEDUP_WINDOW', 3)
    ledger = make_ledger(2)
    assert assign(ledger, 'a', 2) == [1, 2]
    ledger.nack('a', 2)
    for number in range(3, 40):
        accept(ledger, 10 * number)
    ledger.complete('stranger', 2)
    for number in range(3, 20):
        assert assign(ledger, 'b') == [number]
        ledger.complete('b', number)
    here = [1, *range(20, 40)]
    assert all(accept(ledger, 10 * number) is Acceptance.DUPLICATE for number in here)
    assert not ledger.knows(key(20))
    complete(ledger, 'a', 1)
    assert accept(ledger, 10) is Acceptance.DUPLICATE, 'only just finished'


def test_drop_oldest_drops_the_oldest_queued_item():
    """Items in flight stay."""
    ledger = Ledger(queue_size=10)
    assert not ledger.drop_oldest()
    for number in range(3):
        ledger.accept(key(number), number, 0.0)
    assert ledger.assign('w0').payload == 0
    assert ledger.drop_oldest()
    assert ledger.counters.dropped == 1
    assert ledger.assign('w0').payload == 2
    assert not ledger.drop_oldest()


def test_drop_oldest_may_skip_older_items():
    """They stay, in their order; nothing is dropped where there are no more than those."""
    ledger = Ledger(queue_size=10)
    for number in range(4):
        ledger.accept(key(number), number, 0.0)
    assert not ledger.drop_oldest(skip=4)
    assert ledger.drop_oldest(skip=2)
    assert list(ledger.queued_payloads) == [0, 1, 3]
    assert ledger.counters.dropped == 1
    assert ledger.accept(key(2), 2, 0.0)[0] is Acceptance.DUPLICATE
