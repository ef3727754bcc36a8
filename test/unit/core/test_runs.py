# SPDX-License-Identifier: Apache-2.0
"""A stamp is an identity within one run: recordings that are played again, and time set back."""

from __future__ import annotations

import pytest
from support.dispatching import Flow, source, stage

from worker_pipeline.core.dispatcher_actions import ReportRejection, SendItem
from worker_pipeline.core.item import ItemKey
from worker_pipeline.core.ledger import Acceptance
from worker_pipeline.core.repeated_items import CLOCK_DELAY, INCIDENT_GAP
from worker_pipeline.core.runs import COPY_DELAY, OVERLAP, Runs

SECOND = 10**9


def accepted(flow: Flow, name: str) -> int:
    return flow.dispatcher.stages[name].ledger.counters.accepted


def test_in_a_new_run_the_same_stamps_are_new_items():
    flow = Flow(a=stage(), workers=2)
    flow.receive('a', 5)
    flow.receive('a', 5)
    assert accepted(flow, 'a') == 1
    assert flow.dispatcher.begin_run(flow.now) == 1
    flow.receive('a', 5)
    flow.receive('a', 5)
    assert accepted(flow, 'a') == 2
    assert [each.item.key.run for each in flow.take(SendItem)] == [0, 1]


def test_items_under_way_keep_their_run():
    """What is left of the run before, and the same stamp of the new one: none is a duplicate."""
    flow = Flow(a=stage(), b=stage('a'), workers=2)
    flow.receive('a', 5)
    flow.dispatcher.begin_run(flow.now)
    flow.receive('a', 5)
    flow.answer('a', 1)
    flow.answer('a', 2)
    assert accepted(flow, 'b') == 2
    assert flow.b.ledger.counters.duplicates == 0
    keys = [each.item.key for each in flow.take(SendItem) if each.stage == 'b']
    assert keys == [ItemKey('a', 5, 0), ItemKey('a', 5, 1)]


def test_the_topics_copy_of_an_item_of_the_run_before_is_known():
    """It arrives after the new run has begun."""
    flow = Flow(a=stage(), b=stage('a'))
    flow.receive('a', 5)
    flow.answer('a', 1)
    flow.dispatcher.begin_run(flow.now)
    flow.b.item_received('a', 5, 'copy', flow.now + OVERLAP / 2)
    assert accepted(flow, 'b') == 1
    flow.b.item_received('a', 5, 'new', flow.now + OVERLAP)
    assert accepted(flow, 'b') == 2


@pytest.mark.parametrize('runs', [1, 3])
def test_the_topics_copy_is_known_however_long_ago_the_run_of_its_item_ended(runs):
    """Items that had to wait for longer than runs overlap are handed on once."""
    flow = Flow(a=stage(), b=stage('a'))
    for number in range(1, 4):
        flow.receive('a', number)
    for _ in range(runs):
        flow.dispatcher.begin_run(flow.now)
    for stamp in range(1, 4):
        flow.now += 10 * OVERLAP
        (number,) = (n for each, _, n in flow.sent() if each == 'a')
        flow.answer('a', number)
        flow.b.item_received('a', stamp, 'copy', flow.now + COPY_DELAY / 2)
        assert accepted(flow, 'b') == stamp
    flow.b.item_received('a', 3, 'new', flow.now + COPY_DELAY)
    assert accepted(flow, 'b') == 4


def test_where_time_is_set_back_late_items_belong_to_the_run_before():
    """An item of the end of a loop that comes when /clock shows its start."""
    runs = Runs()
    runs.time = 0
    runs.begin(100.0, before=60 * SECOND)
    assert runs.of(59 * SECOND, 100.1) == 0
    assert runs.of(1 * SECOND, 100.1) == 1
    runs.time = 59 * SECOND  # at a high rate
    assert runs.of(59 * SECOND, 100.5) == 1
    runs.time = 0
    assert runs.of(59 * SECOND, 100.0 + OVERLAP) == 1


def test_an_item_that_the_run_before_has_had_is_new_in_any_case():
    """Even if it is ahead of /clock."""
    flow = Flow(a=stage(), workers=4)
    flow.receive('a', 59 * SECOND)
    flow.dispatcher.begin_run(flow.now, before=60 * SECOND)
    flow.receive('a', 59 * SECOND)
    assert accepted(flow, 'a') == 2
    flow.receive('a', 58 * SECOND)
    assert [each.item.key.run for each in flow.take(SendItem)] == [0, 1, 0]


def test_an_item_that_comes_before_the_clock_is_not_lost():
    """The first messages of a loop may overtake /clock."""
    flow = Flow(a=stage(), workers=2)
    flow.dispatcher.runs.may_restart = True
    flow.receive('a', SECOND)
    flow.receive('a', SECOND)
    assert flow.take(ReportRejection) == []
    flow.dispatcher.begin_run(flow.now, before=60 * SECOND)
    assert accepted(flow, 'a') == 2


def test_without_a_new_run_it_is_refused_a_little_later():
    flow = Flow(a=stage())
    flow.dispatcher.runs.may_restart = True
    flow.receive('a', 5)
    flow.receive('a', 5)
    flow.a.refuse_overdue(flow.now + CLOCK_DELAY)
    assert flow.a.ledger.counters.duplicates == 0
    flow.a.refuse_overdue(flow.now + 1.1 * CLOCK_DELAY)
    assert flow.take(ReportRejection) == [
        ReportRejection('a', ItemKey('input', 5), Acceptance.DUPLICATE)
    ]
    assert not flow.a.repeated.has_kept


def test_refusals_are_one_incident_until_they_cease():
    flow = Flow(a=stage())
    flow.receive('a', 5)
    assert flow.a.repeated.since(flow.now) is None
    for now in (10.0, 11.0, 12.0):
        flow.a.item_received('input', 5, 'again', now)
    assert flow.a.repeated.count == 3
    assert flow.a.repeated.since(12.5) == 2.5
    assert flow.a.repeated.newest == 5
    assert flow.a.repeated.since(12.0 + 1.1 * INCIDENT_GAP) is None
    flow.a.item_received('input', 5, 'again', 30.0)
    assert flow.a.repeated.count == 1


def test_a_new_run_ends_the_incident():
    flow = Flow(a=stage())
    flow.receive('a', 5)
    flow.receive('a', 5)
    flow.dispatcher.begin_run(flow.now)
    assert flow.a.repeated.since(flow.now) is None


def test_a_later_manager_continues_the_run():
    flow = Flow(a=stage(), s=source())
    flow.dispatcher.begin_run(flow.now)
    later = Flow(a=stage(), s=source())
    later.a.restore(flow.a.snapshot(payloads=True))
    assert later.dispatcher.runs.number == 1
    later.a.replay('run', (2,))
    assert later.dispatcher.runs.number == 2
