# SPDX-License-Identifier: Apache-2.0
"""Checks when a source is asked for an item, and the effect of the answer."""

from __future__ import annotations

import pytest
from support.dispatching import BLOCK, Flow, items, source, stage

from worker_pipeline.core.dispatcher_actions import AskSource, SendItem
from worker_pipeline.core.item import TICK, ItemKey


def test_a_source_is_not_asked_before_its_stream_starts():
    """Neither by a dispatch nor by a period that has elapsed."""
    flow = Flow(s=source(period=1.0))
    flow.s.dispatch()
    flow.s.period_elapsed()
    assert flow.take() == []
    flow.s.stream_started(100)
    assert flow.take_now() == [AskSource('s')]


def test_a_tick_is_sent_as_an_item_with_its_stamp():
    """The message is made from the stamp and the time since the stream started."""
    flow = Flow(s=source())
    flow.s.stream_started(100)
    flow.take()
    flow.now = 2.5
    flow.tick('s', 130)
    (item,) = items(flow.take(SendItem))
    assert (item.key, item.payload, item.accepted_at) == (ItemKey(TICK, 130), '30@130', 2.5)


def test_a_source_is_asked_once_until_it_is_ticked():
    """Further events in between ask no second time."""
    flow = Flow(s=source(), workers=3)
    flow.s.stream_started(100)
    flow.s.dispatch()
    flow.s.answers_received()
    flow.s.worker_available('w7')
    assert flow.take() == [AskSource('s')]
    flow.tick('s', 130)
    assert [type(each) for each in flow.take()] == [SendItem, AskSource]


def test_a_source_without_a_period_is_asked_as_fast_as_its_workers_take_items():
    """It is asked again after each tick while a worker has room, and after each answer."""
    flow = Flow(s=source(concurrency=2))
    flow.s.stream_started(100)
    for ros in (101, 102):
        assert flow.take(AskSource) == [AskSource('s')]
        flow.tick('s', ros)
    assert flow.take(AskSource) == [], 'its worker has two'
    flow.answer('s', 1)
    assert flow.take(AskSource) == [AskSource('s')]


def test_a_source_with_a_period_is_asked_once_a_period():
    """A period in which no worker could take a tick is not made up for."""
    flow = Flow(s=source(period=1.0))
    flow.s.stream_started(100)
    flow.tick('s', 101)
    flow.answer('s', 1)
    assert flow.take(AskSource) == [AskSource('s')], 'the first'
    flow.s.period_elapsed()
    flow.take()
    flow.tick('s', 102)
    flow.s.period_elapsed()
    flow.s.period_elapsed()
    assert flow.take(AskSource) == [], 'its worker is busy'
    flow.answer('s', 2)
    assert flow.take(AskSource) == [AskSource('s')]
    flow.tick('s', 103)
    flow.answer('s', 3)
    assert flow.take(AskSource) == []


def test_an_elapsed_period_schedules_the_source():
    """It is dispatched as an event of its own."""
    flow = Flow(s=source(period=1.0))
    flow.s.stream_started(100)
    flow.tick('s', 101)
    flow.answer('s', 1)
    flow.take()
    flow.s.period_elapsed()
    assert flow.take_now() == []
    assert flow.take() == [AskSource('s')]


def test_a_source_is_not_asked_without_an_idle_worker_or_credit():
    """An item that it gave then could not be sent."""
    flow = Flow(s=source(), workers=0)
    flow.s.stream_started(100)
    assert flow.take() == []
    flow = Flow(s=source(), b=stage('s', queue_size=1, overflow=BLOCK))
    flow.b.worker_unavailable('w0')
    flow.receive('b', 1)
    flow.s.stream_started(100)
    assert flow.take() == []


def test_items_published_on_a_sources_input_go_before_its_ticks():
    """It is not asked while such an item waits."""
    flow = Flow(s=source(), workers=0)
    flow.receive('s', 5)
    flow.s.stream_started(100)
    flow.s.worker_available('w0')
    flow.s.worker_available('w1')
    actions = flow.take()
    assert [type(each) for each in actions] == [SendItem, AskSource]
    assert actions[0].item.key == ItemKey('input', 5)


def test_a_tick_that_is_not_due_any_more_leads_to_nothing():
    """The source was exhausted, or its period has not elapsed, when the shell read the clocks."""
    flow = Flow(s=source(period=1.0))
    flow.s.stream_started(100)
    flow.take()
    flow.tick('s', 101)
    flow.take()
    flow.tick('s', 102)
    assert flow.take() == []
    assert flow.s.ledger.counters.accepted == 1
    flow.s.period_elapsed()
    flow.s.source.exhausted = True
    flow.tick('s', 103)
    assert flow.take() == []


def test_a_closed_source_is_not_asked():
    """A tick that was asked for before is still taken."""
    flow = Flow(s=source(), workers=2)
    flow.s.stream_started(100)
    assert flow.take() == [AskSource('s')]
    flow.dispatcher.close_intake()
    flow.tick('s', 101)
    assert [type(each) for each in flow.take()] == [SendItem]
    flow.answer('s', 1)
    assert flow.take(AskSource) == []


def test_an_exhausted_source_is_not_asked_and_its_last_items_leave():
    """Ticks of other workers that were under way may still be answered."""
    flow = Flow(s=source(), b=stage('s'), workers=2)
    flow.s.stream_started(100)
    flow.tick('s', 101)
    flow.tick('s', 102)
    flow.take()
    flow.s.stream_ended('w1', 2, 0.0)
    flow.answer('s', 1)
    assert [type(each) for each in flow.take(AskSource)] == []
    assert flow.s.ledger.empty
    assert flow.b.ledger.counters.accepted == 1
    flow.s.stream_started(200)
    flow.s.period_elapsed()
    assert flow.take(AskSource) == []


def test_a_stream_starts_once():
    """A second start changes neither the epoch nor the journal."""
    records: list[tuple[str, tuple]] = []
    flow = Flow(
        s=source(), recorder=lambda _: lambda name, arguments: records.append((name, arguments))
    )
    flow.s.stream_started(100)
    flow.s.stream_started(200)
    assert flow.s.source.epoch == 100
    assert [name for name, _ in records] == ['source']
    assert records[0][1][0]['epoch'] == 100


def test_the_end_of_the_stream_is_recorded_before_the_tick_is_retracted():
    """A later manager must not ask the source again."""
    records: list[tuple[str, tuple]] = []
    flow = Flow(
        s=source(), recorder=lambda _: lambda name, arguments: records.append((name, arguments))
    )
    flow.s.stream_started(100)
    flow.tick('s', 101)
    flow.take()
    records.clear()
    flow.s.stream_ended('w0', 1, 0.0)
    assert [name for name, _ in records] == ['source', 'retract']
    assert records[0][1][0]['exhausted'] is True


@pytest.mark.parametrize('steady', [None, 50])
def test_stamps_follow_the_clocks_that_the_shell_reads(steady: int | None):
    """With a steady clock the stream continues where ROS time is set back."""
    flow = Flow(s=source(), workers=3)
    flow.s.stream_started(10_000_000_000)
    made: list[tuple[int, int]] = []

    def make(stamp: int, since: int) -> str:
        made.append((stamp, since))
        return f'@{stamp}'

    flow.s.tick(make, 11_000_000_000, steady, 0.0)
    later = None if steady is None else steady + 500_000_000
    flow.s.tick(make, 5_000_000_000, later, 0.0)
    second = 11_000_000_001 if steady is None else 11_500_000_000
    assert made == [(11_000_000_000, 1_000_000_000), (second, second - 10_000_000_000)]
