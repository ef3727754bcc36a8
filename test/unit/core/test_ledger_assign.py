# SPDX-License-Identifier: Apache-2.0
"""Checks which item a ledger assigns next, and its record of each worker."""

from __future__ import annotations

from support.ledgers import assign, complete, make_ledger


def test_items_are_assigned_first_in_first_out():
    """Workers get items in the order of acceptance."""
    ledger = make_ledger(4)
    assert assign(ledger, 'a') + assign(ledger, 'b') + assign(ledger, 'a', 2) == [1, 2, 3, 4]


def test_assigning_from_an_empty_ledger_returns_none():
    """No worker holds anything afterwards."""
    ledger = make_ledger()
    assert ledger.assign('a') is None
    assert ledger.workers == []


def test_the_ledger_counts_the_items_each_worker_holds():
    """The load of each worker is known, and which workers have any."""
    ledger = make_ledger(3)
    assign(ledger, 'a', 2)
    assign(ledger, 'b')
    assert [ledger.held_by(worker) for worker in 'abc'] == [2, 1, 0]
    assert ledger.workers == ['a', 'b']
    assert (ledger.in_flight, ledger.waiting, ledger.outstanding) == (3, 0, 3)
    complete(ledger, 'b', 3)
    assert ledger.workers == ['a']
    assert (ledger.in_flight, ledger.waiting, ledger.outstanding) == (2, 0, 3)


def test_an_unfinished_item_is_held_by_one_worker():
    """Neither an earlier worker nor one still processing a finished item holds it."""
    ledger = make_ledger(2)
    assign(ledger, 'a')
    assert ledger.is_held('a', 1)
    assert not ledger.is_held('a', 2)
    assert not ledger.is_held('stranger', 1)
    ledger.release('a', 'killed')
    assert not ledger.is_held('a', 1)
    assign(ledger, 'b')
    assert ledger.is_held('b', 1)
    complete(ledger, 'a', 1)
    assert (ledger.is_held('b', 1), ledger.held_by('b')) == (False, 1)


def test_returned_items_are_assigned_first_the_oldest_before_the_others():
    """They precede queued items, in the order of their first assignment."""
    ledger = make_ledger(5)
    assign(ledger, 'a')
    assign(ledger, 'b', 2)
    ledger.release('b', 'killed')
    ledger.release('a', 'killed')
    assert assign(ledger, 'c', 5) == [1, 2, 3, 4, 5]
    assert ledger.counters.redelivered == 3
