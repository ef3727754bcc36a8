# SPDX-License-Identifier: Apache-2.0
"""Checks which items a stage accepts and to which worker it assigns them, event by event.

The effects of answers are in test_stage_dispatcher_answers, when new items may begin is in
test_stage_dispatcher_admission, and sources are in test_stage_dispatcher_source.
"""

from __future__ import annotations

import pytest
from support.dispatching import BLOCK, Flow, items, source, stage

from worker_pipeline.core.dispatcher_actions import (
    PublishOutput,
    QuarantineItem,
    ReportRejection,
    SendItem,
)
from worker_pipeline.core.item import ItemKey
from worker_pipeline.core.ledger import Acceptance

# -- items in ------------------------------------------------------------------------------------


def test_a_received_item_is_sent_within_the_event():
    """Nothing else has to be scheduled for it."""
    flow = Flow(a=stage())
    flow.a.item_received('input', 7, 'payload@7', 1.5)
    (action,) = flow.take_now()
    assert action == SendItem('a', 'w0', action.item)
    item = action.item
    assert (item.key, item.payload, item.accepted_at) == (ItemKey('input', 7), 'payload@7', 1.5)


def test_an_item_waits_while_every_worker_is_busy():
    """It is sent when a worker has answered."""
    flow = Flow(a=stage())
    flow.receive('a', 1, 2)
    assert flow.sent() == [('a', 'w0', 1)]
    flow.answer('a', 1)
    assert flow.sent() == [('a', 'w0', 2)]


def test_a_closed_stage_accepts_nothing_from_outside():
    """The item is ignored without a report."""
    flow = Flow(a=stage(), b=stage('a'))
    flow.receive('a', 1)
    flow.dispatcher.close_intake()
    flow.receive('a', 2)
    flow.receive('b', 2)
    assert flow.sent() == [('a', 'w0', 1)]
    assert flow.b.ledger.counters.accepted == 0
    flow.answer('a', 1)
    assert flow.sent() == [('b', 'w0', 1)], 'items in the pipeline are still forwarded'


def test_a_duplicate_is_reported():
    """The report names the stage, the key and the reason."""
    flow = Flow(a=stage())
    flow.receive('a', 1)
    flow.take()
    flow.receive('a', 1)
    assert flow.take() == [ReportRejection('a', ItemKey('input', 1), Acceptance.DUPLICATE)]


def test_an_item_refused_by_a_full_blocking_queue_is_reported():
    """It was not accepted, and may be sent again later."""
    flow = Flow(a=stage(queue_size=1, overflow=BLOCK))
    flow.receive('a', 1, 2, 3)
    assert flow.take()[1:] == [ReportRejection('a', ItemKey('input', 3), Acceptance.REFUSED)]
    flow.answer('a', 1)
    flow.receive('a', 3)
    assert flow.take(ReportRejection) == []


def test_an_item_dropped_by_a_full_queue_is_counted_and_not_reported():
    """The new item is accepted for it."""
    flow = Flow(a=stage(queue_size=1))
    flow.receive('a', 1, 2, 3)
    assert flow.take(ReportRejection) == []
    assert flow.a.ledger.counters.dropped == 1


def test_an_item_from_outside_may_not_take_a_place_reserved_for_an_output():
    """A blocking queue would have to refuse the output then, which loses it."""
    flow = Flow(a=stage(), b=stage('a', queue_size=2, overflow=BLOCK), workers=2)
    flow.receive('b', 1, 2)  # both in flight
    flow.receive('a', 3)
    flow.receive('b', 4, 5)
    assert flow.take(ReportRejection) == [
        ReportRejection('b', ItemKey('input', 5), Acceptance.REFUSED)
    ]
    flow.answer('a', 1)
    assert flow.take(ReportRejection) == []
    assert flow.b.ledger.queued == 2


def test_a_forwarded_item_is_accepted_though_the_blocking_queue_was_made_smaller():
    """Its place was reserved when the item before it began."""
    flow = Flow(a=stage(concurrency=3), b=stage('a', queue_size=3, overflow=BLOCK))
    flow.receive('a', 1, 2, 3)
    flow.b.worker_unavailable('w0')
    flow.b.set_policy(stage('a', queue_size=1, overflow=BLOCK))
    for number in (1, 2, 3):
        flow.answer('a', number)
    assert flow.take(ReportRejection) == []
    assert flow.b.ledger.queued == 3
    assert not flow.b.has_credit


# -- routes --------------------------------------------------------------------------------------


def test_a_forwarded_item_that_comes_by_its_topic_too_is_ignored():
    """The topic carries it for others; it is not even reported as a duplicate."""
    flow = Flow(a=stage(), b=stage('a'))
    flow.receive('a', 1)
    flow.answer('a', 1)
    flow.take()
    flow.receive('b', 1, by='a')
    assert flow.take() == []
    assert flow.b.ledger.counters.duplicates == 0


def test_a_forwarded_item_by_a_second_route_that_comes_by_its_topic_is_ignored():
    """Every route by which the stage has forwarded items is looked up."""
    flow = Flow(a=stage('/x', '/y', concurrency=2), b=stage('a'))
    flow.receive('a', 1, by='/x')
    flow.receive('a', 2, by='/y')
    for number in (1, 2):
        flow.answer('a', number)
    flow.take()
    flow.receive('b', 1, 2, by='a')
    assert flow.take() == []
    assert flow.b.ledger.counters.accepted == 2


def test_an_item_published_manually_on_a_stages_output_is_accepted():
    """No stage of this pipeline has forwarded it."""
    flow = Flow(a=stage(), b=stage('a'))
    flow.receive('b', 5, by='a')
    assert [item.key for item in items(flow.take(SendItem))] == [ItemKey('a', 5)]


def test_items_of_one_stamp_by_two_inputs_stay_two_items_further_down():
    """Items by the main input keep the stage's name as their route; others add their input."""
    flow = Flow(a=stage('/x', '/y', concurrency=3), b=stage('a', concurrency=3), c=stage('b'))
    for by in ('/x', '/y', 'input'):
        flow.receive('a', 1, by=by)
    for number in (1, 2, 3):
        flow.answer('a', number)
    sent = [
        item.key for action in flow.take(SendItem) if action.stage == 'b' for item in [action.item]
    ]
    assert sent == [ItemKey('a', 1), ItemKey('a</y', 1), ItemKey('a<input', 1)]
    for number in (1, 2, 3):
        flow.answer('b', number)
    assert flow.c.ledger.counters.accepted == 3
    assert flow.c.ledger.knows(ItemKey('b', 1))
    assert flow.c.ledger.knows(ItemKey('b<a</y', 1))


def test_outputs_of_a_stage_without_inputs_keep_its_name_as_their_route():
    """Its main input is ``input``, and that of a source is its ticks."""
    flow = Flow(a=stage(), b=stage('a'))
    flow.receive('a', 1)
    flow.answer('a', 1)
    assert flow.b.ledger.knows(ItemKey('a', 1))
    flow = Flow(s=source(concurrency=2), b=stage('s'))
    flow.s.stream_started(5)
    flow.tick('s', 6)
    flow.receive('s', 9)
    flow.answer('s', 1)
    flow.answer('s', 2)
    assert flow.b.ledger.knows(ItemKey('s', 6))
    assert flow.b.ledger.knows(ItemKey('s<input', 9))


# -- to the workers ------------------------------------------------------------------------------


def test_the_worker_that_holds_the_fewest_items_gets_the_next():
    """The first of several that hold as few."""
    flow = Flow(a=stage(concurrency=2), workers=3)
    flow.receive('a', 1, 2, 3, 4)
    assert flow.sent() == [('a', 'w0', 1), ('a', 'w1', 2), ('a', 'w2', 3), ('a', 'w0', 4)]
    flow.answer('a', 3, 'w2')
    flow.receive('a', 5)
    assert flow.sent() == [('a', 'w2', 5)]


def test_no_worker_holds_more_items_than_the_concurrency():
    """Further items wait in the queue."""
    flow = Flow(a=stage(concurrency=2), workers=2)
    flow.receive('a', *range(9))
    assert len(flow.sent()) == 4
    assert [flow.a.ledger.held_by(worker) for worker in ('w0', 'w1')] == [2, 2]


def test_an_available_worker_is_sent_what_waits():
    """The stage is scheduled, not dispatched within the event."""
    flow = Flow(a=stage(), workers=0)
    flow.receive('a', 1)
    assert flow.sent() == []
    flow.a.worker_available('w5')
    assert flow.sent_now() == []
    assert flow.sent() == [('a', 'w5', 1)]


def test_an_unavailable_worker_keeps_its_items_and_gets_no_more():
    """It may still answer for them."""
    flow = Flow(a=stage(concurrency=2))
    flow.receive('a', 1)
    flow.a.worker_unavailable('w0')
    flow.receive('a', 2)
    assert flow.sent() == [('a', 'w0', 1)]
    flow.answer('a', 1)
    assert flow.take() == [PublishOutput('a', 'a@1')]
    assert flow.a.ledger.waiting == 1


def test_returned_items_are_assigned_first():
    """Before queued ones, the oldest first."""
    flow = Flow(a=stage(concurrency=3, queue_size=20))
    flow.receive('a', *range(6))
    flow.take()
    for number in (3, 2):
        flow.a.item_returned('w0', number, 0.0)
    flow.a.answers_received()
    assert flow.sent() == [('a', 'w0', 2), ('a', 'w0', 3)]


def test_upstream_is_scheduled_when_an_item_was_assigned():
    """There is a place more in the queue; upstream goes in an event of its own."""
    flow = Flow(a=stage(), b=stage('a', queue_size=1, overflow=BLOCK))
    flow.receive('a', 1, 2, 3)
    flow.answer('a', 1)
    assert flow.sent() == [('a', 'w0', 1), ('b', 'w0', 1), ('a', 'w0', 2)]
    flow.answer('a', 2)
    assert flow.sent() == [], 'the place in the queue of b is taken'
    flow.b.no_output_received('w0', 1, 0.0)
    flow.b.answers_received()
    assert flow.sent_now() == [('b', 'w0', 2)]
    assert flow.sent() == [('a', 'w0', 3)]


def test_upstream_is_not_scheduled_when_nothing_was_assigned():
    """An event without a consequence costs nothing upstream."""
    flow = Flow(a=stage(), b=stage('a'))
    flow.take()
    flow.b.dispatch()
    assert not flow.dispatcher.scheduled


def test_a_flush_drops_the_queue_and_schedules_upstream():
    """Returned items stay; the stages before have credit again."""
    flow = Flow(a=stage(), b=stage('a', queue_size=1, overflow=BLOCK))
    flow.receive('b', 1, 2)
    flow.receive('a', 3)
    assert flow.sent() == [('b', 'w0', 1)]
    flow.b.item_returned('w0', 1, 0.0)
    assert flow.b.flush() == 1
    assert flow.b.ledger.returned == 1
    assert flow.sent_now() == []
    assert flow.sent() == [('a', 'w0', 1)]
    assert flow.b.flush() == 0


# -- workers connect and exit --------------------------------------------------------------------


def test_a_reconnected_worker_is_sent_what_it_has_not_received():
    """Its items stay assigned to it."""
    flow = Flow(a=stage(concurrency=3))
    flow.receive('a', 1, 2, 3)
    flow.take()
    flow.a.worker_connected('w0', {2}, 0.0)
    assert flow.sent_now() == [('a', 'w0', 1), ('a', 'w0', 3)]
    assert flow.a.ledger.held_by('w0') == 3
    flow.a.worker_connected('w0', {1, 2, 3}, 0.0)
    assert flow.take() == []


def test_a_reconnected_worker_is_sent_more_where_it_no_longer_has_to_be_sent_an_item():
    """Another worker has answered the item, so there is room for one more."""
    flow = Flow(a=stage(concurrency=1), workers=2)
    flow.receive('a', 1, 2, 3)
    flow.a.worker_exited('w0', 'killed', None, 0.0)
    flow.a.worker_unavailable('w0')
    flow.answer('a', 2, 'w1')
    assert flow.sent()[2:] == [('a', 'w1', 1)]
    flow.answer('a', 1, 'w0')
    assert flow.sent() == [], 'w1 may still be processing item 1'
    flow.a.worker_connected('w1', (), 0.0)
    assert flow.sent() == [('a', 'w1', 3)]


def test_items_of_a_worker_that_exited_are_sent_to_others():
    """The stage is scheduled; no attempt is counted without a suspect."""
    flow = Flow(a=stage(concurrency=2), workers=2)
    flow.receive('a', 1, 2, 3)
    flow.take()
    flow.a.worker_unavailable('w0')
    flow.a.worker_exited('w0', 'signal 9', None, 0.0)
    assert flow.sent_now() == []
    (action,) = flow.take(SendItem)
    assert (action.worker, action.item.number, action.item.attempts) == ('w1', 1, 0)


def test_a_suspect_that_was_tried_too_often_is_quarantined():
    """The action has the item and the cause of the last death; other items are sent again."""
    flow = Flow(a=stage(max_attempts=1, concurrency=2), workers=2)
    flow.receive('a', 1, 2, 3)
    flow.take()
    flow.a.worker_unavailable('w0')
    flow.a.worker_exited('w0', 'signal 11', 1, 0.0)
    quarantine, send = flow.take()
    assert isinstance(quarantine, QuarantineItem)
    assert (quarantine.stage, quarantine.cause) == ('a', 'signal 11')
    assert (quarantine.item.number, quarantine.item.suspects) == (1, ('w0',))
    assert (send.worker, send.item.number) == ('w1', 3)


@pytest.mark.parametrize('worker', ['w0', 'stranger'])
def test_the_exit_of_an_idle_worker_changes_nothing(worker: str):
    """Nothing is requeued or sent."""
    flow = Flow(a=stage())
    flow.a.worker_exited(worker, 'signal 9', 1, 0.0)
    assert flow.take() == []
