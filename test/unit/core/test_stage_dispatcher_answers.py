# SPDX-License-Identifier: Apache-2.0
"""Checks the effects of each kind of answer: outputs forwarded, items requeued or quarantined."""

from __future__ import annotations

from support.dispatching import BLOCK, Flow, items, source, stage

from worker_pipeline.core.dispatcher_actions import (
    AskSource,
    PublishOutput,
    QuarantineItem,
    ReportRejection,
    SendItem,
)
from worker_pipeline.core.item import ItemKey
from worker_pipeline.core.ledger import Acceptance


def test_an_output_is_published_and_forwarded_within_the_event():
    """The follower's worker gets it, with the item's stamp and the stage as its route."""
    flow = Flow(a=stage(), b=stage('a'))
    flow.receive('a', 7)
    flow.take()
    flow.a.output_received('w0', 1, 'out@7', 2.0)
    publish, send = flow.take_now()
    assert publish == PublishOutput('a', 'out@7')
    assert (send.stage, send.worker, send.item.key) == ('b', 'w0', ItemKey('a', 7))
    assert (send.item.payload, send.item.accepted_at) == ('out@7', 2.0)


def test_an_output_is_forwarded_to_every_follower():
    """Each has it in a ledger of its own."""
    flow = Flow(a=stage(), b=stage('a'), c=stage('a'))
    flow.receive('a', 1)
    flow.answer('a', 1)
    assert flow.sent() == [('a', 'w0', 1), ('b', 'w0', 1), ('c', 'w0', 1)]


def test_all_outputs_are_forwarded_before_a_follower_is_dispatched():
    """Until then there seems to be more credit downstream than there is."""
    flow = Flow(a=stage(concurrency=3), b=stage('a', concurrency=3), c=stage('b', queue_size=9))
    flow.receive('a', 1, 2, 3)
    flow.take()
    waiting_at_dispatch = []
    dispatch = flow.b.dispatch

    def spy() -> None:
        waiting_at_dispatch.append(flow.b.ledger.waiting)
        dispatch()

    flow.b.dispatch = spy  # type: ignore[method-assign]
    for number in (3, 2, 1):
        flow.answer('a', number)
    assert waiting_at_dispatch == [3]
    actions = flow.take_now()
    assert [type(each) for each in actions] == 3 * [PublishOutput] + 3 * [SendItem]


def test_the_latency_of_an_output_counts_from_the_acceptance_of_its_item():
    """It ends when the output leaves, in order."""
    flow = Flow(a=stage(concurrency=2))
    flow.now = 10.0
    flow.receive('a', 1, 2)
    flow.a.output_received('w0', 2, 'out@2', 11.0)
    assert flow.a.latency.percentile(50) == 0.0
    flow.a.output_received('w0', 1, 'out@1', 14.0)
    assert flow.a.latency.percentile(50) == 4.0
    assert flow.a.latency.percentile(100) == 4.0


def test_an_answer_without_output_completes_the_item():
    """Nothing is published or forwarded."""
    flow = Flow(a=stage(), b=stage('a'))
    flow.receive('a', 1)
    flow.take()
    flow.a.no_output_received('w0', 1, 0.0)
    flow.a.answers_received()
    assert flow.take() == []
    assert flow.a.ledger.counters.completed == 1
    assert flow.a.ledger.empty


def test_a_second_answer_is_neither_published_nor_forwarded():
    """The first one counted."""
    flow = Flow(a=stage(), b=stage('a'))
    flow.receive('a', 1)
    flow.answer('a', 1)
    flow.take()
    flow.a.output_received('w0', 1, 'again@1', 0.0)
    assert flow.take() == []


def test_a_returned_item_is_sent_again_without_an_attempt():
    """The worker had not started it."""
    flow = Flow(a=stage(max_attempts=1))
    flow.receive('a', 1)
    flow.take()
    flow.a.item_returned('w0', 1, 0.0)
    flow.a.answers_received()
    (item,) = items(flow.take(SendItem))
    assert (item.number, item.attempts) == (1, 0)


def test_a_failed_item_is_sent_again_and_then_quarantined():
    """The action has the cause of the last failure; outputs behind the item leave."""
    flow = Flow(a=stage(max_attempts=2, concurrency=2), b=stage('a'))
    flow.receive('a', 1, 2)
    flow.answer('a', 2)
    flow.take()
    flow.a.item_failed('w0', 1, 'first', 0.0)
    flow.a.answers_received()
    assert flow.sent() == [('a', 'w0', 1)]
    flow.a.item_failed('w0', 1, 'second', 0.0)
    publish, send, quarantine = flow.take()
    assert publish == PublishOutput('a', 'a@2')
    assert (send.stage, send.item.key) == ('b', ItemKey('a', 2))
    assert isinstance(quarantine, QuarantineItem)
    assert (quarantine.stage, quarantine.item.number, quarantine.cause) == ('a', 1, 'second')


def test_a_refused_item_is_removed():
    """It is not tried again, and counts as refused."""
    flow = Flow(a=stage())
    flow.receive('a', 1)
    flow.take()
    flow.a.item_refused('w0', 1, 0.0)
    flow.a.answers_received()
    assert flow.take() == []
    assert (flow.a.ledger.counters.refused, flow.a.ledger.counters.accepted) == (1, 0)


def test_the_frame_memory_of_an_output_is_recorded():
    """An output that made no frame records nothing."""
    flow = Flow(a=stage(concurrency=3), limit=100)
    flow.receive('a', 1, 2, 3)
    flow.answer('a', 1)
    assert flow.dispatcher.budget.committed_bytes('a') == 0
    flow.answer('a', 2, frame_bytes=30)
    assert flow.dispatcher.budget.committed_bytes('a') == 30


def test_after_answers_a_stage_without_followers_is_dispatched_at_once():
    """Nothing leaves before its next items."""
    flow = Flow(a=stage())
    flow.receive('a', 1, 2)
    flow.take()
    flow.a.no_output_received('w0', 1, 0.0)
    assert flow.take() == [], 'one dispatch for all answers that came together'
    flow.a.answers_received()
    assert flow.sent_now() == [('a', 'w0', 2)]


def test_after_answers_a_stage_with_followers_is_scheduled():
    """Its followers are sent their items first, in an event of their own."""
    flow = Flow(a=stage(), b=stage('a'))
    flow.receive('a', 1, 2)
    flow.take()
    flow.answer('a', 1)
    assert flow.sent_now() == [('b', 'w0', 1)]
    assert flow.sent() == [('a', 'w0', 2)]


def test_a_forwarded_duplicate_is_reported():
    """A source may give two outputs of one stamp."""
    flow = Flow(s=source(concurrency=2), b=stage('s'))
    flow.s.stream_started(5)
    flow.tick('s', 6)
    flow.tick('s', 7)
    for number in (1, 2):
        flow.s.output_received('w0', number, 'same@99', 0.0)
    assert flow.take(ReportRejection) == [
        ReportRejection('b', ItemKey('s', 99), Acceptance.DUPLICATE)
    ]


def test_an_output_of_a_source_is_forwarded_with_its_own_stamp():
    """The tick has another."""
    flow = Flow(s=source(), b=stage('s'))
    flow.s.stream_started(5)
    flow.tick('s', 6)
    flow.s.output_received('w0', 1, 'image@1234', 0.0)
    assert flow.b.ledger.knows(ItemKey('s', 1234))
    assert not flow.b.ledger.knows(ItemKey('s', 6))


def test_the_end_of_the_stream_retracts_its_tick_and_ends_the_asking():
    """The item never counts as accepted, and the source is not asked again."""
    flow = Flow(s=source())
    flow.s.stream_started(5)
    assert flow.take() == [AskSource('s')]
    flow.tick('s', 6)
    assert flow.sent() == [('s', 'w0', 1)]
    flow.s.stream_ended('w0', 1, 0.0)
    flow.s.answers_received()
    assert flow.take() == []
    assert flow.s.source.exhausted
    assert flow.s.ledger.empty
    assert flow.s.ledger.counters.accepted == 0


# -- credit that an item without an output leaves ------------------------------------------------


def full_fan_in() -> Flow:
    """Return two stages that feed one place: a has it, b waits for credit."""
    flow = Flow(a=stage(max_attempts=1), b=stage(), c=stage('a', 'b', queue_size=1, overflow=BLOCK))
    flow.receive('a', 1)
    flow.receive('b', 2)
    assert flow.sent() == [('a', 'w0', 1)]
    return flow


def test_credit_of_an_item_without_output_goes_to_the_other_stages_of_a_fan_in():
    """The other stage is scheduled, though nothing else happens to it."""
    flow = full_fan_in()
    flow.a.no_output_received('w0', 1, 0.0)
    flow.a.answers_received()
    assert flow.sent() == [('b', 'w0', 1)]


def test_credit_of_a_quarantined_item_goes_to_the_other_stages_of_a_fan_in():
    """Whether it failed or its worker exited."""
    flow = full_fan_in()
    flow.a.item_failed('w0', 1, 'boom', 0.0)
    flow.a.answers_received()
    assert flow.sent() == [('b', 'w0', 1)]
    flow = full_fan_in()
    flow.a.worker_exited('w0', 'signal 9', 1, 0.0)
    assert flow.sent() == [('b', 'w0', 1)]
