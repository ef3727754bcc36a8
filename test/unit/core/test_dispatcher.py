# SPDX-License-Identifier: Apache-2.0
"""Checks how the stages of a pipeline work together, and that a later manager can continue."""

from __future__ import annotations

import marshal
from collections.abc import Callable
from graphlib import CycleError
from typing import Any

import pytest
from support.dispatching import BLOCK, FakeMemory, Flow, source, stage, stamp_of

from worker_pipeline.core.dispatcher import Dispatcher
from worker_pipeline.core.dispatcher_actions import (
    AskSource,
    PublishOutput,
    QuarantineItem,
    SendItem,
)
from worker_pipeline.core.item import ItemKey
from worker_pipeline.core.stage_policy import StagePolicy

Entries = list[bytes]

# -- stages and their turns ----------------------------------------------------------------------


def test_stages_are_linked_by_their_inputs():
    """Topics from outside are no stages; a stage may stand before those that feed it."""
    flow = Flow(c=stage('a', 'b'), a=stage('/camera'), b=stage('a'))
    assert flow.c.upstream == (flow.a, flow.b)
    assert flow.a.followers == (flow.c, flow.b)
    assert (flow.a.upstream, flow.c.followers) == ((), ())


def test_stages_in_a_circle_are_an_error():
    """Items would never leave."""
    with pytest.raises(CycleError):
        Dispatcher({'a': stage('b'), 'b': stage('a')}, FakeMemory(), stamp_of)


def test_actions_are_taken_once_in_the_order_in_which_they_were_decided():
    """The returned snapshot is not changed by later events."""
    flow = Flow(a=stage(), b=stage('a'))
    flow.receive('a', 1)
    flow.answer('a', 1)
    actions = flow.dispatcher.take_actions()
    assert [(type(each), each.stage) for each in actions] == [
        (SendItem, 'a'),
        (PublishOutput, 'a'),
        (SendItem, 'b'),
    ]
    assert flow.dispatcher.take_actions() == []
    flow.receive('a', 2)
    assert len(actions) == 3


def test_scheduled_stages_are_dispatched_once_in_the_order_of_their_scheduling():
    """However often a stage was scheduled; stages that are scheduled meanwhile follow."""
    flow = Flow(a=stage(), b=stage('a'), c=stage('b'))
    flow.take()
    turns: list[str] = []

    def spy(name: str, dispatch: Callable[[], None]) -> Callable[[], None]:
        def turn() -> None:
            turns.append(name)
            dispatch()

        return turn

    for name, each in flow.dispatcher.stages.items():
        each.dispatch = spy(name, each.dispatch)  # type: ignore[method-assign]
    for each in (flow.a, flow.b, flow.c):
        each.ledger.accept(ItemKey('x', 1), '', 0.0)
    for each in (flow.c, flow.b, flow.c, flow.b):
        each.worker_available('w0')
    flow.dispatcher.dispatch_scheduled()
    assert turns == ['c', 'b', 'a'], 'a by the assignment of b'
    flow.dispatcher.dispatch_scheduled()
    assert turns == ['c', 'b', 'a']


def test_released_frames_schedule_the_blocked_stages_only():
    """In the order of the configuration."""
    flow = Flow(c=stage(), a=stage(), b=stage())
    for each in flow.dispatcher.stages.values():
        each.ledger.accept(ItemKey('x', 1), '', 0.0)
    flow.dispatcher.budget.blocked |= {'a', 'c'}
    turns: list[str] = []
    for name, each in flow.dispatcher.stages.items():
        each.dispatch = lambda name=name: turns.append(name)  # type: ignore[method-assign]
    flow.dispatcher.frames_released()
    assert turns == []
    flow.dispatcher.dispatch_scheduled()
    assert turns == ['c', 'a']


def test_a_closed_intake_closes_every_stage():
    """Sources are asked for nothing, and items from outside are ignored."""
    flow = Flow(a=stage(), s=source(), b=stage('a', 's'))
    flow.dispatcher.close_intake()
    flow.s.stream_started(100)
    flow.receive('a', 1)
    flow.receive('b', 2)
    assert flow.take() == []


def test_a_worker_gets_its_next_item_after_its_followers_got_theirs():
    """An answer leads to the follower's item first, and to the stage's own in the next event."""
    flow = Flow(s=source(), a=stage('s'), b=stage('a'))
    flow.s.stream_started(100)
    for ros in (101, 102):
        flow.tick('s', ros)
        flow.answer('s', ros - 100)
        flow.take()
    flow.answer('a', 1)
    assert flow.sent_now() == [('b', 'w0', 1)]
    assert flow.sent() == [('a', 'w0', 2)]


def test_a_blocking_pipeline_passes_credit_back_to_its_source():
    """The source is asked only while the last stage takes items."""
    flow = Flow(
        s=source(concurrency=1),
        a=stage('s', queue_size=1, overflow=BLOCK),
        b=stage('a', queue_size=1, overflow=BLOCK),
    )
    flow.s.stream_started(100)
    asked, ros = 0, 100
    while flow.take(AskSource):
        ros += 1
        asked += 1
        flow.tick('s', ros)
        for name in ('s', 'a'):
            held = list(flow.dispatcher.stages[name].ledger._held.get('w0', ()))
            for number in held:
                flow.answer(name, number)
                flow.dispatcher.dispatch_scheduled()
    unfinished = {name: each.ledger.unfinished for name, each in flow.dispatcher.stages.items()}
    assert unfinished == {'s': 0, 'a': 1, 'b': 2}
    assert asked == 3
    flow.b.no_output_received('w0', 1, 0.0)
    flow.b.answers_received()
    assert flow.sent() == [('b', 'w0', 2), ('a', 'w0', 3)]


# -- a manager's restart -------------------------------------------------------------------------


class Journaled(Flow):
    """A pipeline with recorded changes, as in a journal."""

    def __init__(self, *, workers: int = 1, **stages: StagePolicy) -> None:
        self.entries: Entries = []
        super().__init__(workers=workers, recorder=self._recorder, **stages)
        self.stages = stages

    def _recorder(self, name: str) -> Callable[[str, tuple[Any, ...]], None]:
        return lambda call, arguments: self.entries.append(marshal.dumps((name, call, arguments)))

    def snapshot(self, *, payloads: bool = True) -> bytes:
        return marshal.dumps(
            {
                name: each.snapshot(payloads=payloads)
                for name, each in self.dispatcher.stages.items()
            }
        )

    def successor(self, snapshot: bytes | None, entries: Entries) -> Journaled:
        """Return the pipeline of a later manager; workers are not available to it yet."""
        later = Journaled(workers=0, **self.stages)
        if snapshot is not None:
            for name, state in marshal.loads(snapshot).items():
                later.dispatcher.stages[name].restore(state)
        for entry in entries:
            name, call, arguments = marshal.loads(entry)
            later.dispatcher.stages[name].replay(call, arguments)
        return later


def without_counters(snapshot: bytes) -> Any:
    states = marshal.loads(snapshot)
    for state in states.values():
        del state['ledger']['counters']
        state['routes'] = sorted(state['routes'])
        del state['source']['last'], state['source']['offset']  # only recorded at its start and end
    return states


def busy() -> tuple[Journaled, list[int], list[bytes]]:
    """Return a pipeline after many events; after each: how many records there were, its state."""
    flow = Journaled(
        s=source(concurrency=2),
        a=stage('s', '/x', concurrency=2, max_attempts=1),
        b=stage('a', queue_size=3, overflow=BLOCK),
        workers=2,
    )
    lengths, states = [], []

    def mark() -> None:
        flow.take()
        lengths.append(len(flow.entries))
        states.append(flow.snapshot())

    mark()
    flow.s.stream_started(100)
    mark()
    for ros in range(101, 108):
        flow.tick('s', ros)
        mark()
        number = ros - 100
        flow.answer('s', number, 'w0' if flow.s.ledger.is_held('w0', number) else 'w1')
        mark()
    flow.receive('a', 103, by='/x')
    mark()
    flow.a.worker_exited('w1', 'signal 11', 2, 0.0)
    mark()
    flow.answer('a', 1)
    mark()
    flow.a.item_failed('w0', 3, 'boom', 0.0)
    mark()
    flow.a.set_policy(stage('s', '/x', concurrency=2, max_attempts=3, queue_size=2))
    mark()
    flow.receive('a', 1, 2, 3)
    mark()
    flow.s.stream_ended('w0', 99, 0.0)
    mark()
    flow.a.flush()
    mark()
    return flow, lengths, states


def test_a_record_replayed_up_to_any_event_restores_the_pipeline():
    """Ledgers, sources and routes are as they were; and so with a snapshot of any earlier event."""
    flow, lengths, states = busy()
    assert lengths[-1] > 40
    for event, (length, state) in enumerate(zip(lengths, states, strict=True)):
        later = flow.successor(None, flow.entries[:length])
        assert without_counters(later.snapshot()) == without_counters(state)
        earlier = event // 2
        later = flow.successor(states[earlier], flow.entries[lengths[earlier] : length])
        assert without_counters(later.snapshot()) == without_counters(state)


def test_replaying_sends_and_records_nothing():
    """Its settled items were forwarded by the earlier manager."""
    flow, _, _ = busy()
    later = flow.successor(None, flow.entries)
    assert later.take() == []
    assert later.entries == []


def test_a_later_manager_sends_what_workers_have_not_received():
    """Workers that live keep their items; those of dead ones are sent to others."""
    flow = Journaled(a=stage(concurrency=2), b=stage('a'), workers=2)
    flow.receive('a', 1, 2, 3, 4, 5)
    flow.take()
    later = flow.successor(flow.snapshot(), [])
    later.a.resume({}, 0.0)
    later.a.worker_exited('w1', 'died without a manager', 2, 0.0)
    later.b.resume({}, 0.0)
    assert later.sent() == []
    later.a.worker_connected('w0', {1}, 0.0)
    later.a.worker_available('w0')
    assert later.sent() == [('a', 'w0', 3)]
    later.a.worker_available('w2')
    assert later.sent() == [('a', 'w2', 2), ('a', 'w2', 4)]
    later.answer('a', 1)
    assert later.sent() == [('a', 'w0', 5)]


def test_an_output_that_a_dead_worker_held_back_is_forwarded_on_resuming():
    """Its item is quarantined, and outputs behind it leave within the same event."""
    flow = Journaled(a=stage(max_attempts=1), b=stage('a'), workers=2)
    flow.receive('a', 1, 2)
    flow.answer('a', 2, 'w1')
    flow.take()
    later = flow.successor(flow.snapshot(), [])
    later.b.resume({}, 0.0)
    later.a.resume({}, 0.0)
    later.a.worker_exited('w0', 'died without a manager', 1, 0.0)
    assert later.b.ledger.knows(ItemKey('a', 2))
    later.b.worker_available('w0')
    assert later.sent() == [('b', 'w0', 1)]


def test_without_payloads_a_later_manager_continues_with_what_workers_kept():
    """Items without a message are dropped; the order continues without them."""
    flow = Journaled(a=stage(concurrency=2), b=stage('a'), workers=2)
    flow.receive('a', 1, 2, 3, 4, 5)
    flow.take()
    later = flow.successor(flow.snapshot(payloads=False), [])
    later.a.resume({3: 'kept@3'}, 0.0)
    later.a.worker_exited('w0', 'died without a manager', None, 0.0)
    counters = later.a.ledger.counters
    assert (counters.dropped, later.a.ledger.waiting) == (2, 1), 'items 1 and 5'
    later.a.worker_connected('w1', {2, 4}, 0.0)
    later.answer('a', 2, 'w1')
    later.a.worker_available('w2')
    assert later.sent() == [('a', 'w2', 3)]
    assert later.b.ledger.knows(ItemKey('a', 2))


def test_an_output_without_its_message_is_never_published():
    """It waited for an item of a worker that died with the manager; the journal had no messages."""
    flow = Journaled(a=stage(max_attempts=1), b=stage('a'), workers=2)
    flow.receive('a', 1, 2)
    flow.answer('a', 2, 'w1')
    flow.take()
    later = flow.successor(flow.snapshot(payloads=False), [])
    later.a.resume({1: 'kept@1'}, 0.0)
    later.a.worker_exited('w0', 'died without a manager', 1, 0.0)
    assert [type(each) for each in later.take()] == [QuarantineItem]
    assert later.b.ledger.counters.accepted == 0
    assert later.a.ledger.empty


def test_resuming_applies_the_policy_of_the_later_manager():
    """The record is replayed under the earlier one."""
    flow = Journaled(a=stage(queue_size=2))
    flow.receive('a', *range(6))
    flow.stages['a'] = stage(queue_size=9)
    later = flow.successor(None, [])
    later = flow.successor(flow.snapshot(), [])
    assert later.a.ledger.queue_size == 2
    later.a.resume({}, 0.0)
    assert later.a.ledger.queue_size == 9
    assert later.a.ledger.queued == 2


def test_a_source_continues_after_a_restart():
    """It is asked at once; an exhausted one is not."""
    flow = Journaled(s=source(period=5.0), workers=2)
    flow.s.stream_started(100)
    flow.tick('s', 101)
    later = flow.successor(None, flow.entries)
    later.s.resume({}, 0.0)
    later.s.worker_available('w1')
    assert later.take() == [AskSource('s')]
    flow.s.stream_ended('w0', 1, 0.0)
    later = flow.successor(None, flow.entries)
    later.s.resume({}, 0.0)
    later.s.worker_available('w1')
    assert later.take() == []


def test_routes_survive_a_restart():
    """An item that was forwarded is still ignored when it comes by its topic."""
    flow = Journaled(a=stage('/x', '/y'), b=stage('a'))
    flow.receive('a', 1, by='/y')
    flow.answer('a', 1)
    flow.take()
    for later in (flow.successor(None, flow.entries), flow.successor(flow.snapshot(), [])):
        later.b.resume({}, 0.0)
        later.receive('b', 1, by='a')
        assert later.b.ledger.counters.accepted == 1
