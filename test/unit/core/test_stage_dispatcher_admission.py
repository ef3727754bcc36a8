# SPDX-License-Identifier: Apache-2.0
"""Checks when a new item may begin: credit of followers, the bound of an order, frame memory."""

from __future__ import annotations

import pytest
from support.dispatching import BLOCK, DROP_OLDEST, Flow, source, stage

from worker_pipeline.core.dispatcher_actions import AskSource, SendItem

# -- credit --------------------------------------------------------------------------------------


def test_items_begin_up_to_the_free_places_of_a_blocking_follower():
    """Started items and outputs awaiting their order have their places already."""
    flow = Flow(a=stage(concurrency=9), b=stage('a', queue_size=3, overflow=BLOCK), workers=1)
    flow.b.worker_unavailable('w0')
    flow.receive('a', *range(9))
    assert len(flow.sent()) == 3
    flow.answer('a', 3)
    assert flow.sent() == [], 'its output awaits the first two'
    for number in (1, 2):
        flow.answer('a', number)
    assert flow.sent() == []
    assert (flow.b.ledger.queued, flow.b.ledger.free) == (3, 0)


def test_a_follower_that_drops_its_oldest_item_holds_up_nobody():
    """It makes room for the new item."""
    flow = Flow(a=stage(concurrency=5), b=stage('a', queue_size=1, overflow=DROP_OLDEST))
    flow.b.worker_unavailable('w0')
    flow.receive('a', *range(5))
    assert len(flow.sent()) == 5
    assert flow.b.has_credit


def test_stages_of_a_fan_in_share_the_places_of_their_follower():
    """Outstanding items of all of them count."""
    flow = Flow(
        a=stage(concurrency=5),
        b=stage(concurrency=5),
        c=stage('a', 'b', queue_size=3, overflow=BLOCK),
    )
    flow.c.worker_unavailable('w0')
    flow.receive('a', 1, 2)
    flow.receive('b', 3, 4, 5)
    assert flow.sent() == [('a', 'w0', 1), ('a', 'w0', 2), ('b', 'w0', 1)]
    assert not flow.c.has_credit
    flow.answer('a', 1)
    flow.answer('b', 1)
    assert flow.sent() == []
    assert flow.c.ledger.queued == 2


def test_a_stage_of_a_fan_out_begins_only_what_all_blocking_followers_have_room_for():
    """The follower with the fewest free places decides, whichever it is."""
    for sizes in ((1, 3), (3, 1)):
        flow = Flow(
            a=stage(concurrency=5),
            b=stage('a', queue_size=sizes[0], overflow=BLOCK),
            c=stage('a', queue_size=sizes[1], overflow=BLOCK),
            d=stage('a', queue_size=1),
        )
        flow.receive('a', *range(5))
        assert len(flow.sent()) == 1


def test_returned_items_begin_without_credit():
    """Their places are reserved since they were first assigned."""
    flow = Flow(a=stage(concurrency=2), b=stage('a', queue_size=2, overflow=BLOCK))
    flow.b.worker_unavailable('w0')
    flow.receive('a', 1, 2, 3)
    flow.take()
    flow.a.item_returned('w0', 2, 0.0)
    assert not flow.b.has_credit
    flow.a.answers_received()
    assert flow.sent() == [('a', 'w0', 2)]


def test_a_smaller_queue_leaves_no_credit_until_it_has_emptied():
    """The number of free places is never negative."""
    flow = Flow(a=stage(concurrency=5), b=stage('a', queue_size=3, overflow=BLOCK))
    flow.b.worker_unavailable('w0')
    flow.receive('a', 1, 2, 3)
    flow.take()
    for number in (1, 2, 3):
        flow.answer('a', number)
    flow.b.set_policy(stage('a', queue_size=1, overflow=BLOCK))
    flow.receive('a', 4)
    assert flow.sent() == []
    flow.b.worker_available('w0')
    assert flow.sent() == [('b', 'w0', 1)]


@pytest.mark.parametrize('change', [{'queue_size': 4}, {'overflow': DROP_OLDEST}])
def test_upstream_begins_more_when_a_followers_policy_gives_it_credit(change: dict):
    """It is scheduled by the change, though no item moved."""
    before = {'queue_size': 2, 'overflow': BLOCK}
    flow = Flow(a=stage(concurrency=9), b=stage('a', **before))
    flow.b.worker_unavailable('w0')
    flow.receive('a', *range(4))
    assert len(flow.sent()) == 2
    flow.b.set_policy(stage('a', **{**before, **change}))
    assert flow.sent() == [('a', 'w0', 3), ('a', 'w0', 4)]


@pytest.mark.parametrize(('overflow', 'left'), [(DROP_OLDEST, 2), (BLOCK, 5)])
def test_a_smaller_queue_drops_its_oldest_items_at_once(overflow, left: int):
    """Unless it blocks: then it only takes no more."""
    flow = Flow(a=stage(queue_size=5, overflow=overflow))
    flow.a.worker_unavailable('w0')
    flow.receive('a', *range(1, 6))
    flow.a.set_policy(stage(queue_size=2, overflow=overflow))
    assert flow.a.ledger.queued == left
    assert flow.a.ledger.counters.dropped == 5 - left
    flow.a.worker_available('w0')
    assert flow.sent() == [('a', 'w0', 6 - left)]


# -- order ---------------------------------------------------------------------------------------


def test_outputs_awaiting_their_order_are_bounded_by_the_queue_size():
    """One slow item does not let the others grow without a bound."""
    flow = Flow(a=stage(concurrency=1, queue_size=5), workers=2)
    flow.receive('a', *range(5))
    flow.take()
    flow.receive('a', 5, 6)
    for number in (2, 3, 4, 5):
        flow.answer('a', number, 'w1')
        flow.take()
    assert flow.a.ledger.awaiting_order == 4
    assert flow.a.ledger.outstanding == 5
    assert flow.a.ledger.held_by('w1') == 0, 'the sixth item has to wait'
    flow.answer('a', 1)
    assert flow.sent() == [('a', 'w0', 6), ('a', 'w1', 7)]


def test_the_bound_of_an_order_is_at_least_what_all_workers_may_hold():
    """A short queue does not keep workers idle; one worker's leaving lowers the bound."""
    flow = Flow(a=stage(concurrency=2, queue_size=1), workers=2)
    flow.receive('a', 1)
    for stamp in range(2, 9):
        flow.receive('a', stamp)
    assert len(flow.sent()) == 4
    flow.answer('a', 4, 'w1')
    flow.receive('a', 9)
    assert flow.sent() == [], 'outstanding: three started and one awaiting its order'
    flow.answer('a', 1)
    assert len(flow.sent()) == 1
    flow.a.pool.resize(3)
    flow.a.set_policy(stage(queue_size=1, concurrency=3))
    flow.receive('a', 10, 11)
    assert len(flow.sent()) == 2


def test_unordered_outputs_have_no_bound():
    """They leave when they come."""
    flow = Flow(a=stage(concurrency=1, queue_size=1, ordered=False), workers=2)
    for stamp in range(2):
        flow.receive('a', stamp)
    for number in range(2, 9):
        flow.receive('a', number)
        flow.answer('a', number, 'w1')
    assert flow.a.ledger.counters.delivered == 7


def test_unordered_items_begin_beside_those_that_an_unavailable_worker_holds():
    """It may hang for long; with an order, outputs would await its items without a bound."""
    for ordered, count in ((True, 1), (False, 2)):
        flow = Flow(a=stage(queue_size=1, ordered=ordered), workers=2)
        flow.receive('a', 1)
        flow.a.worker_unavailable('w0')
        flow.receive('a', 2)
        assert len(flow.sent()) == count


def test_returned_items_begin_beyond_the_bound_of_an_order():
    """Others await them."""
    flow = Flow(a=stage(concurrency=2, queue_size=1))
    flow.receive('a', 1)
    flow.receive('a', 2)
    flow.answer('a', 2)
    flow.receive('a', 3)
    assert flow.a.ledger.queued == 1
    flow.a.item_returned('w0', 1, 0.0)
    flow.a.answers_received()
    assert [number for _, _, number in flow.sent()] == [1, 2, 1]


# -- frame memory --------------------------------------------------------------------------------


def frames(**stages) -> Flow:
    """Return a pipeline of stages with frames of 10 bytes; at most 40 bytes of them."""
    flow = Flow(limit=40, **stages)
    for name in stages:
        flow.dispatcher.budget.record_output(name, 10)
    flow.take()
    return flow


def test_an_item_waits_for_frame_memory():
    """It begins when the stage is dispatched after frames were released."""
    flow = frames(a=stage(), b=stage('a', overflow=BLOCK))
    flow.memory.needed = 30
    flow.receive('b', 1)
    flow.receive('a', 2)
    assert flow.sent() == [('b', 'w0', 1)]
    assert flow.dispatcher.budget.blocked == {'a'}
    flow.memory.needed = 20
    flow.dispatcher.frames_released()
    assert flow.sent() == [('a', 'w0', 1)]
    assert flow.dispatcher.budget.blocked == set()


def test_returned_items_begin_without_frame_memory():
    """Their frame is committed since they were first assigned."""
    flow = frames(a=stage(), b=stage('a'))
    flow.receive('a', 1)
    flow.take()
    flow.memory.needed = 100
    flow.a.item_returned('w0', 1, 0.0)
    flow.a.answers_received()
    assert flow.sent() == [('a', 'w0', 1)]


def queued_follower(**of_a) -> Flow:
    """Return a pipeline with full memory, and a follower with droppable items."""
    flow = frames(a=stage(**of_a), b=stage('a', ordered=False))
    flow.receive('b', 1, 2, 3)
    assert flow.sent() == [('b', 'w0', 1)]
    flow.memory.ledgers, flow.memory.frame_bytes = [flow.b.ledger], 20
    flow.memory.needed = 40
    return flow


def test_a_followers_item_is_dropped_for_one_that_begins():
    """The new item is sent, and one was dropped."""
    flow = queued_follower()
    flow.receive('a', 1)
    assert flow.sent() == [('a', 'w0', 1)]
    assert flow.b.ledger.queued == 1
    assert flow.dispatcher.budget.dropped['b'] == 1


def test_nothing_is_dropped_where_no_item_waits():
    """Answers, frames that were released, a worker that comes: none is a reason to drop."""
    flow = queued_follower()
    flow.a.dispatch()
    flow.a.answers_received()
    flow.dispatcher.frames_released()
    flow.a.worker_available('w1')
    flow.take()
    assert flow.b.ledger.queued == 2


def test_nothing_is_dropped_while_no_worker_can_take_the_item():
    """All are busy, or there is none."""
    flow = queued_follower()
    flow.a.worker_unavailable('w0')
    flow.receive('a', 1)
    flow.take()
    assert flow.b.ledger.queued == 2


def test_nothing_is_dropped_while_a_follower_has_no_credit():
    """The item cannot begin anyway; frame memory comes last."""
    flow = frames(
        a=stage(), b=stage('a', ordered=False), c=stage('a', queue_size=1, overflow=BLOCK)
    )
    flow.receive('b', 1, 2, 3)
    flow.receive('c', 4, 5)
    flow.take()
    flow.memory.needed = 40
    flow.receive('a', 1)
    assert flow.sent() == []
    assert flow.b.ledger.queued == 2


def test_nothing_is_dropped_beyond_the_bound_of_an_order():
    """The item cannot begin anyway."""
    flow = frames(a=stage(concurrency=2, queue_size=1), b=stage('a'))
    flow.receive('a', 1)
    flow.receive('a', 2)
    flow.take()
    flow.answer('a', 2)
    flow.receive('b', 1, 2, 3)
    flow.take()
    flow.memory.needed = 40
    flow.receive('a', 3)
    assert flow.sent() == []
    assert flow.b.ledger.queued == 2


def test_nothing_is_dropped_while_no_tick_of_a_source_is_due():
    """The source has a period, and a follower that is slow: each tick drops no more than it needs.

    Answers, heartbeats (empty lists of answers) and released frames come many times in between.
    """
    flow = frames(a=source(period=4.0), b=stage('a', ordered=False))
    flow.memory.needed = 0
    flow.a.stream_started(1)
    flow.take()
    flow.tick('a', 2)
    flow.answer('a', 1)
    flow.receive('b', 11, 12)
    assert ('b', 'w0', 1) in flow.sent()
    flow.memory.ledgers = [flow.b.ledger]
    flow.memory.needed = 40
    for _ in range(3):
        flow.a.answers_received()
        flow.b.answers_received()
        flow.dispatcher.frames_released()
        flow.a.dispatch()
        assert flow.take() == []
    assert flow.b.ledger.queued == 2
    assert flow.dispatcher.budget.dropped['b'] == 0
    flow.a.period_elapsed()
    assert flow.take() == [AskSource('a')]
    assert flow.dispatcher.budget.dropped['b'] == 2
    flow.tick('a', 3)
    assert flow.take(SendItem)[0].item.number == 2


def test_a_pipeline_in_which_nobody_would_release_a_frame_goes_on_inline():
    """All stages have items and idle workers, and each waits for memory: the first one begins."""
    flow = frames(a=stage(), b=stage('a', overflow=BLOCK), c=stage('b', overflow=BLOCK))
    flow.memory.needed = 40
    flow.b.worker_unavailable('w0')
    flow.receive('b', 1)
    flow.receive('a', 2)
    assert flow.sent() == [], 'b waits for a worker, which may come'
    flow.b.worker_available('w0')
    flow.dispatcher.frames_released()
    assert flow.sent() == [('b', 'w0', 1)]
    assert flow.dispatcher.budget.blocked == {'a'}
    flow.answer('b', 1)
    assert flow.sent() == [('c', 'w0', 1)]
    flow.answer('c', 1)
    flow.take()
    flow.dispatcher.frames_released()
    assert flow.sent() == [('a', 'w0', 1)], 'nobody is left who would release a frame'
