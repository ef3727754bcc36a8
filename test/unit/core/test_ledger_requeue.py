# SPDX-License-Identifier: Apache-2.0
"""Checks how items come back without an answer: returned, failed, undelivered, or by a death."""

from __future__ import annotations

import pytest
from support.ledgers import (
    accept,
    assign,
    assigned,
    complete,
    key,
    make_ledger,
    outputs,
    recording_ledger,
    restored,
)

from worker_pipeline.core.item import Item
from worker_pipeline.core.ledger import NOTHING, Acceptance


def test_returning_an_item_counts_no_attempt():
    """It may be returned any number of times without being quarantined."""
    ledger = make_ledger(1, max_attempts=1)
    for _ in range(5):
        assert assign(ledger, 'a') == [1]
        ledger.nack('a', 1)
    assert (ledger.waiting, ledger.in_flight, ledger.counters.quarantined) == (1, 0, 0)
    assert ledger.counters.redelivered == 4
    assert ledger.workers == []


def test_returning_an_item_that_the_worker_does_not_hold_changes_nothing():
    """It may be another worker's, finished, or returned already."""
    ledger = make_ledger(2)
    assign(ledger, 'a', 2)
    complete(ledger, 'a', 1)
    ledger.nack('b', 2)
    ledger.nack('a', 1)
    assert (ledger.waiting, ledger.in_flight) == (0, 1)
    ledger.nack('a', 2)
    ledger.nack('a', 2)
    assert (ledger.waiting, ledger.in_flight) == (1, 0)


def test_a_failed_item_is_retried_up_to_max_attempts():
    """The last failure quarantines it, with its cause; no worker is listed as a victim."""
    ledger = make_ledger(1, max_attempts=3)
    for cause in ('first', 'second'):
        assign(ledger, 'a')
        assert ledger.fail('a', 1, cause) == NOTHING
    assign(ledger, 'b')
    ((item, cause),) = ledger.fail('b', 1, 'third').quarantined
    assert (item.key, item.attempts, item.suspects, cause) == (key(10), 3, (), 'third')
    assert ledger.counters.quarantined == 1
    assert ledger.empty


def test_failing_an_item_that_the_worker_does_not_hold_changes_nothing():
    """A late failure of a worker taken for dead is not an attempt."""
    ledger = make_ledger(1, max_attempts=1)
    assign(ledger, 'a')
    ledger.release('a', 'killed')
    assign(ledger, 'b')
    assert ledger.fail('a', 1, 'late') == NOTHING
    assert (ledger.in_flight, ledger.counters.quarantined) == (1, 0)


def test_a_quarantined_item_releases_its_place_in_the_order():
    """Outputs that awaited it are delivered."""
    ledger = make_ledger(2, max_attempts=1)
    assign(ledger, 'a')
    assign(ledger, 'b')
    assert complete(ledger, 'b', 2) == []
    settled = ledger.fail('a', 1, 'boom')
    assert outputs(settled) == ['out 2']
    assert [each.item.key for each in settled.quarantined] == [key(10)]


def test_all_items_of_a_dead_worker_are_requeued():
    """None is lost, and the worker holds none."""
    ledger = make_ledger(3)
    assign(ledger, 'a', 3)
    assert ledger.release('a', 'killed') == NOTHING
    assert (ledger.waiting, ledger.in_flight, ledger.held_by('a')) == (3, 0, 0)
    assert assign(ledger, 'b', 3) == [1, 2, 3]


@pytest.mark.parametrize('suspect', [1, 2, 3])
def test_only_the_suspect_item_of_a_dead_worker_counts_an_attempt(suspect: int):
    """Prefetched items are requeued unmarked, wherever the suspect stood among them."""
    ledger = make_ledger(3, max_attempts=2)
    assign(ledger, 'a', 3)
    ledger.release('a', 'killed', suspect=suspect)
    items = assigned(ledger, 'b', 3)
    assert [item.number for item in items] == [1, 2, 3]
    assert [item.attempts for item in items] == [int(number == suspect) for number in (1, 2, 3)]
    assert [item.suspects for item in items if item.number == suspect] == [('a',)]
    assert [item.suspects for item in items if item.number != suspect] == [(), ()]


@pytest.mark.parametrize('suspect', [None, 2, 99])
def test_without_a_suspect_of_its_own_a_death_counts_no_attempt(suspect: int | None):
    """No item was in progress, or one that the worker does not hold."""
    ledger = make_ledger(2, max_attempts=1)
    assign(ledger, 'a')
    assign(ledger, 'b')
    assert ledger.release('a', 'shut down', suspect=suspect) == NOTHING
    (item,) = assigned(ledger, 'c')
    assert (item.number, item.attempts, item.suspects) == (1, 0, ())


def test_an_item_that_killed_max_attempts_workers_is_quarantined():
    """The quarantined item names the dead workers; its neighbours are requeued."""
    ledger = make_ledger(3, max_attempts=2)
    assign(ledger, 'a', 2)
    ledger.release('a', 'signal 11', suspect=1)
    assign(ledger, 'b', 2)
    ((item, cause),) = ledger.release('b', 'signal 9', suspect=1).quarantined
    assert (item.key, item.attempts, cause) == (key(10), 2, 'signal 9')
    assert item.suspects == ('a', 'b')
    assert item.payload == 'camera@10'
    assert assign(ledger, 'c', 3) == [2, 3]


def test_failures_and_deaths_count_as_attempts_together():
    """The item lists only the worker that died, not the one that failed."""
    ledger = make_ledger(1, max_attempts=2)
    assign(ledger, 'a')
    ledger.release('a', 'signal 11', suspect=1)
    assign(ledger, 'b')
    ((item, _),) = ledger.fail('b', 1, 'boom').quarantined
    assert (item.attempts, item.suspects) == (2, ('a',))


def test_a_death_that_quarantines_an_item_delivers_the_outputs_behind_it():
    """The worker's other items are requeued."""
    ledger = make_ledger(3, max_attempts=1)
    assign(ledger, 'a')
    assign(ledger, 'b')
    assign(ledger, 'a')
    complete(ledger, 'b', 2)
    settled = ledger.release('a', 'killed', suspect=1)
    assert outputs(settled) == ['out 2']
    assert [each.item.number for each in settled.quarantined] == [1]
    assert assign(ledger, 'c', 2) == [3]


def test_a_finished_suspect_counts_no_attempt_at_other_items():
    """Another worker had answered the suspect; the next item was only prefetched."""
    ledger = make_ledger(2, max_attempts=1)
    assign(ledger, 'a')
    ledger.release('a', 'killed')
    assign(ledger, 'b', 2)
    complete(ledger, 'a', 1)
    assert ledger.release('b', 'killed', suspect=1) == NOTHING
    assert assign(ledger, 'c') == [2]


def test_releasing_an_idle_or_unknown_worker_changes_nothing():
    """Nothing is requeued or recorded."""
    ledger, calls = recording_ledger(1)
    assign(ledger, 'a')
    complete(ledger, 'a', 1)
    calls.clear()
    assert ledger.release('a', 'killed', suspect=1) == NOTHING
    assert ledger.release('stranger', 'killed') == NOTHING
    assert calls == []


def test_unordered_items_are_requeued_too():
    """Requeueing needs no place in an order."""
    ledger = make_ledger(3, ordered=False)
    assign(ledger, 'a', 2)
    ledger.release('a', 'killed')
    assert assign(ledger, 'b', 3) == [1, 2, 3]


def test_the_repr_of_an_item_shows_number_source_stamp_and_attempts():
    """Logs print it."""
    assert repr(Item(3, key(7), b'', 0.0, 2)) == 'Item(3, camera@7, attempts=2)'


def test_returned_items_can_be_dropped():
    """They are counted, release their places in the order, and stay known."""
    ledger = make_ledger(4)
    assign(ledger, 'a', 3)
    assign(ledger, 'b')
    complete(ledger, 'b', 4)
    ledger.release('a', 'killed')
    assert ledger.drop([1]) == NOTHING
    assert outputs(ledger.drop(iter([3, 2]))) == ['out 4']
    assert ledger.counters.dropped == 3
    assert ledger.empty
    assert complete(ledger, 'a', 1) == [], 'too late'
    assert accept(ledger, 10) is Acceptance.DUPLICATE


def test_only_returned_items_can_be_dropped():
    """Queued, in-flight, finished and unknown numbers are ignored."""
    ledger, calls = recording_ledger(4)
    assign(ledger, 'a', 2)
    complete(ledger, 'a', 1)
    assign(ledger, 'b')
    ledger.release('b', 'killed')
    calls.clear()
    assert ledger.drop([1, 2, 4, 99]) == NOTHING
    assert ledger.drop([]) == NOTHING
    assert calls == []
    assert ledger.counters.dropped == 0
    ledger.drop([2, 3, 3])
    assert calls == [('drop', ((3,),))]
    assert (ledger.counters.dropped, ledger.in_flight, ledger.waiting) == (1, 1, 1)


def test_no_item_is_dropped_as_unrecoverable_while_its_payload_exists():
    """Only items without a payload are dropped."""
    ledger, calls = recording_ledger(2)
    for take_back in (
        lambda: ledger.release('a', 'killed'),
        lambda: ledger.nack('a', 1),
        lambda: ledger.fail('a', 1, 'boom'),
        lambda: ledger.reconcile('a', [1])[1],
    ):
        assign(ledger, 'a')
        assert take_back() == NOTHING
    assert 'drop' not in [name for name, _ in calls]
    assert ledger.counters.dropped == 0
    assert ledger.held_by('a') == 1
    assert assign(ledger, 'b', 2) == [2]


def test_reconciling_resends_the_items_a_worker_has_not_received():
    """The worker keeps them; nothing is recorded or counted."""
    ledger, calls = recording_ledger(4)
    assign(ledger, 'a', 3)
    assign(ledger, 'b')
    calls.clear()
    items, settled = ledger.reconcile('a', {2})
    assert settled == NOTHING
    assert [(item.number, item.payload) for item in items] == [(1, 'camera@10'), (3, 'camera@30')]
    assert ledger.held_by('a') == 3
    assert (calls, ledger.counters.redelivered) == ([], 0)
    assert ledger.reconcile('a', [1, 2, 3, 99]) == ([], NOTHING)
    assert ledger.reconcile('stranger', []) == ([], NOTHING)


def test_reconciling_does_not_resend_finished_items():
    """They no longer count as held by the worker."""
    ledger, calls = recording_ledger(2)
    assign(ledger, 'a')
    ledger.release('a', 'killed')
    assign(ledger, 'b', 2)
    complete(ledger, 'a', 1)
    calls.clear()
    items, settled = ledger.reconcile('b', ())
    assert ([item.number for item in items], settled) == ([2], NOTHING)
    assert ledger.held_by('b') == 1
    assert calls == [('mark_undelivered', ('b', (1,)))]


def test_reconciling_drops_missing_items_whose_payload_is_gone():
    """Items that the worker has received continue."""
    ledger = make_ledger(3)
    assign(ledger, 'a', 3)
    ledger = restored(ledger, payloads=False)
    ledger.resume({1: 'kept by another worker'})
    items, settled = ledger.reconcile('a', {2})
    assert [(item.number, item.payload) for item in items] == [(1, 'kept by another worker')]
    assert settled == NOTHING
    assert (ledger.held_by('a'), ledger.waiting) == (2, 0)
    assert (ledger.counters.dropped, ledger.waiting) == (1, 0)
    assert complete(ledger, 'a', 1) + complete(ledger, 'a', 2) == ['out 1', 'out 2']
    assert ledger.empty


def test_undelivered_items_are_requeued_without_an_attempt():
    """Finished items, and items that the worker does not hold, are left alone."""
    ledger, calls = recording_ledger(4, max_attempts=1)
    assign(ledger, 'a')
    ledger.release('a', 'killed')
    assign(ledger, 'b', 3)
    assign(ledger, 'c')
    complete(ledger, 'a', 1)
    calls.clear()
    ledger.mark_undelivered('b', iter([1, 2, 4, 99, 2]))
    assert calls == [('mark_undelivered', ('b', (1, 2)))]
    assert (ledger.held_by('b'), ledger.held_by('c'), ledger.waiting) == (1, 1, 1)
    ledger.mark_undelivered('stranger', [3])
    ledger.mark_undelivered('b', [])
    assert len(calls) == 1
    (item,) = assigned(ledger, 'd', 2)
    assert (item.number, item.attempts) == (2, 0)
