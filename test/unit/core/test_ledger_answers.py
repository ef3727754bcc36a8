# SPDX-License-Identifier: Apache-2.0
"""Checks the effects of a worker's answer, and in which order outputs are delivered."""

from __future__ import annotations

import pytest
from support.ledgers import accept, assign, complete, make_ledger, outputs

from worker_pipeline.core.ledger import NOTHING


def test_an_answered_item_is_completed_and_delivered():
    """An item is accepted, assigned and answered, and its output is delivered."""
    ledger = make_ledger(1)
    assign(ledger, 'a')
    assert complete(ledger, 'a', 1) == ['out 1']
    assert (ledger.counters.completed, ledger.counters.delivered) == (1, 1)
    assert ledger.held_by('a') == 0
    assert ledger.empty


def test_an_answer_without_output_completes_the_item():
    """The item counts as completed though nothing is delivered."""
    ledger = make_ledger(1)
    assign(ledger, 'a')
    assert ledger.complete('a', 1) == NOTHING
    assert (ledger.counters.completed, ledger.counters.delivered) == (1, 0)
    assert ledger.empty


def test_several_outputs_of_an_answer_are_delivered_in_order():
    """They stay together, and each is counted."""
    ledger = make_ledger(1)
    assign(ledger, 'a')
    assert outputs(ledger.complete('a', 1, iter(['x', 'y']))) == ['x', 'y']
    assert (ledger.counters.completed, ledger.counters.delivered) == (1, 2)


def test_outputs_are_delivered_in_the_order_of_assignment():
    """An early output awaits the items before it."""
    ledger = make_ledger(3)
    for worker in 'abc':
        assign(ledger, worker)
    assert complete(ledger, 'c', 3) == []
    assert complete(ledger, 'b', 2) == []
    assert (ledger.awaiting_order, ledger.outstanding, ledger.in_flight) == (2, 3, 1)
    assert (ledger.counters.completed, ledger.counters.delivered) == (2, 0)
    assert not ledger.empty
    assert complete(ledger, 'a', 1) == ['out 1', 'out 2', 'out 3']
    assert ledger.empty


def test_unordered_outputs_are_delivered_immediately():
    """With ``ordered: false`` no output awaits another."""
    ledger = make_ledger(2, ordered=False)
    assign(ledger, 'a')
    assign(ledger, 'b')
    assert complete(ledger, 'b', 2) == ['out 2']
    assert ledger.awaiting_order == 0
    assert complete(ledger, 'a', 1) == ['out 1']


def test_an_answer_without_output_releases_its_place_in_the_order():
    """Outputs that awaited it are delivered."""
    ledger = make_ledger(2)
    assign(ledger, 'a', 2)
    assert complete(ledger, 'a', 2) == []
    assert outputs(ledger.complete('a', 1)) == ['out 2']


def test_a_second_answer_is_dropped_and_counted():
    """The first answer counts."""
    ledger = make_ledger(1)
    assign(ledger, 'a')
    complete(ledger, 'a', 1)
    assert complete(ledger, 'a', 1) == []
    assert (ledger.counters.completed, ledger.counters.duplicate_answers) == (1, 1)


@pytest.mark.parametrize('worker', ['a', 'stranger'])
def test_an_answer_to_an_unknown_number_is_dropped_and_counted(worker: str):
    """So is one to a queued item, which no worker was assigned."""
    ledger = make_ledger(2)
    assign(ledger, 'a')
    for number in (2, 99, -1):
        assert complete(ledger, worker, number) == []
        assert ledger.retract(worker, number) == NOTHING
        assert ledger.refuse(worker, number) == NOTHING
    assert ledger.counters.duplicate_answers == 9
    assert ledger.counters.refused == 0
    assert (ledger.waiting, ledger.in_flight) == (1, 1)


def test_a_late_answer_of_a_dead_worker_counts_before_redelivery():
    """It was under way when the worker died: the item is not assigned again."""
    ledger = make_ledger(1)
    assign(ledger, 'a')
    ledger.release('a', 'killed', suspect=1)
    assert complete(ledger, 'a', 1) == ['out 1']
    assert assign(ledger, 'b') == []
    assert ledger.empty


def test_a_late_answer_of_a_dead_worker_counts_after_redelivery():
    """The worker that has the item now answers second, and that answer is dropped."""
    ledger = make_ledger(1)
    assign(ledger, 'a')
    ledger.release('a', 'killed')
    assert assign(ledger, 'b') == [1]
    assert complete(ledger, 'a', 1) == ['out 1']
    assert ledger.held_by('b') == 1, 'it still processes the item'
    assert (ledger.in_flight, ledger.empty) == (0, True)
    assert complete(ledger, 'b', 1) == []
    assert ledger.held_by('b') == 0
    assert (ledger.counters.completed, ledger.counters.duplicate_answers) == (1, 1)


def test_a_late_answer_is_matched_by_number_among_equal_stamps():
    """The number tells which of two inputs' items was answered."""
    ledger = make_ledger()
    for source in ('left', 'right'):
        accept(ledger, 5, source)
    assign(ledger, 'a', 2)
    ledger.release('a', 'killed')
    assert complete(ledger, 'a', 2) == []
    assert assign(ledger, 'b', 2) == [1]
    assert complete(ledger, 'b', 1) == ['out 1', 'out 2']


def test_a_late_answer_to_a_quarantined_item_is_dropped():
    """A quarantined item stays quarantined."""
    ledger = make_ledger(1, max_attempts=1)
    assign(ledger, 'a')
    ledger.release('a', 'killed', suspect=1)
    assert complete(ledger, 'a', 1) == []
    assert ledger.counters.duplicate_answers == 1
    assert ledger.empty


def test_failing_or_returning_an_item_finished_elsewhere_only_frees_the_worker():
    """No attempt is counted, and the item is not assigned again."""
    for fails in (True, False):
        ledger = make_ledger(1, max_attempts=1)
        assign(ledger, 'a')
        ledger.release('a', 'killed')
        assign(ledger, 'b')
        complete(ledger, 'a', 1)
        if fails:
            assert ledger.fail('b', 1, 'boom') == NOTHING
        else:
            ledger.nack('b', 1)
        assert ledger.held_by('b') == 0
        assert ledger.empty
        assert ledger.counters.quarantined == 0


def test_a_retracted_item_is_not_counted_as_accepted():
    """A source at its end retracts the tick; outputs that awaited it are delivered."""
    ledger = make_ledger(2)
    assign(ledger, 'a', 2)
    complete(ledger, 'a', 2)
    assert outputs(ledger.retract('a', 1)) == ['out 2']
    assert (ledger.counters.accepted, ledger.counters.completed) == (1, 1)
    assert ledger.empty


def test_a_refused_item_is_counted_as_refused_not_accepted():
    """An invalid message is not retried; outputs that awaited it are delivered."""
    ledger = make_ledger(2, max_attempts=5)
    assign(ledger, 'a', 2)
    complete(ledger, 'a', 2)
    assert outputs(ledger.refuse('a', 1)) == ['out 2']
    counters = ledger.counters
    assert (counters.accepted, counters.completed, counters.refused) == (1, 1, 1)
    assert ledger.held_by('a') == 0
    assert ledger.empty


@pytest.mark.parametrize('call', ['retract', 'refuse'])
def test_retracting_or_refusing_a_finished_item_changes_nothing(call: str):
    """It is counted as a duplicate answer."""
    ledger = make_ledger(1)
    assign(ledger, 'a')
    complete(ledger, 'a', 1)
    assert getattr(ledger, call)('a', 1) == NOTHING
    counters = ledger.counters
    assert (counters.accepted, counters.refused, counters.duplicate_answers) == (1, 0, 1)
