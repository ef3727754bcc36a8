# SPDX-License-Identifier: Apache-2.0
"""Decisions of the dispatcher become sends, publications, ticks and quarantined items."""

from __future__ import annotations

import pytest
from support.offline_pipeline import HEADER, stage_config

from worker_pipeline.config import PluginDescription
from worker_pipeline.core.dispatcher_actions import (
    AskSource,
    PublishOutput,
    QuarantineItem,
    ReportRejection,
    SendItem,
)
from worker_pipeline.core.item import Item, ItemKey
from worker_pipeline.core.ledger import Acceptance
from worker_pipeline.recovery.journal import read

TICK = 'sensor_msgs/msg/TimeReference'
KEY = ItemKey('input', 5)


@pytest.fixture
def rig(make):
    found = make(stage_config('a'), stage_config('b', 'a'))
    found.start()
    return found


def carry_out(rig, *actions):
    with rig.outbox:
        rig.dispatcher.actions.extend(actions)


def test_an_item_is_sent_to_its_worker(rig):
    carry_out(rig, SendItem('b', 'worker_0', Item(9, KEY, b'payload', 0.0)))
    assert rig.worker('b').items == [9]
    assert rig.worker('b').payloads == [b'payload']
    assert rig.worker('a').items == []


def test_an_item_is_in_the_journal_before_it_is_sent(rig):
    entries = []
    send = rig.processes.send
    rig.processes.send = lambda *args: (
        entries.append(read(rig.journal._path).entries),
        send(*args),
    )
    before = len(read(rig.journal._path).entries)
    rig.receive('a', 1)
    assert len(entries[0]) == before + 1


def test_an_output_is_published_after_the_sends(rig):
    order = []
    publisher = rig.stages['a'].topics_published['a/output']
    publisher.subscribers = 3
    rig.step()
    publisher.publish = lambda _: order.append('published')
    send = rig.processes.send
    rig.processes.send = lambda *args: (order.append('sent'), send(*args))
    carry_out(
        rig,
        PublishOutput('a', b'output'),
        SendItem('b', 'worker_0', Item(9, KEY, b'payload', 0.0)),
    )
    assert order == ['sent', 'published']


def test_a_quarantined_item_is_kept_logged_and_its_workers_are_refunded(rig):
    refunded = []
    rig.slot('b').refund_restart = refunded.append
    item = Item(9, KEY, b'payload', 0.0, suspects=('worker_0', 'worker_7'))
    carry_out(rig, QuarantineItem('b', item, 'it died'))
    assert rig.quarantine.items == [('b', '/airside/b/input', HEADER, 9, 'it died')]
    assert rig.stages['b'].logger.errors == ['quarantined 9: it died']
    assert refunded == [rig.clock.now]


def test_a_rejection_is_reported_by_its_stage(rig):
    carry_out(rig, ReportRejection('b', KEY, Acceptance.DUPLICATE))
    assert len(rig.stages['b'].logger.warnings) == 1
    assert rig.stages['a'].logger.warnings == []


def test_a_source_is_asked_and_its_item_sent_in_the_same_event(make):
    rig = make(stage_config('s'), plugins={'s': PluginDescription(TICK, HEADER)})
    rig.start()
    rig.answer(rig.worker('s'), 1, 'no output')
    assert rig.worker('s').items == [1, 2, 3]
    assert rig.dispatcher.actions == []


def test_an_action_that_fails_stops_no_other(rig):
    carry_out(
        rig,
        SendItem('b', 'worker_9', Item(8, KEY, b'payload', 0.0)),
        AskSource('unknown'),
        SendItem('b', 'worker_0', Item(9, KEY, b'payload', 0.0)),
    )
    assert rig.worker('b').items == [9]
    assert len(rig.errors) == 2
    assert all(each.startswith('internal error:\nTraceback') for each in rig.errors)
    assert "KeyError: 'worker_9'" in rig.errors[0]


def test_scheduled_stages_are_dispatched_as_an_event_of_their_own(rig):
    rig.receive('a', 1)
    entries = len(read(rig.journal._path).entries)
    rig.answer(rig.worker('a'), 1)
    assert rig.dispatcher.scheduled == {}
    assert rig.worker('b').items == [1]
    assert len(read(rig.journal._path).entries) > entries
