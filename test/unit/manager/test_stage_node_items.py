# SPDX-License-Identifier: Apache-2.0
"""A stage's node gives items to its workers, takes their answers, and asks a source for items."""

from __future__ import annotations

import pytest
from support.fake_nodes import run
from support.offline_pipeline import HEADER, stage_config
from support.offline_stage import reference

from worker_pipeline.config import PluginDescription
from worker_pipeline.core.item import ItemKey
from worker_pipeline.core.ledger import Acceptance
from worker_pipeline.protocol.packets import frames_retained_packet
from worker_pipeline.recovery.journal import read

TICK = 'sensor_msgs/msg/TimeReference'
SOURCE = {'s': PluginDescription(TICK, HEADER)}


def retained_in_journal(rig):
    """Return the retained frames by worker, as the journal's entries have them."""
    entries = [each for entry in read(rig.journal._path).entries for each in entry]
    return [fields for _, kind, fields in entries if kind == 'retained_frames']


# -- items and answers -------------------------------------------------------------------------


def test_items_go_to_the_active_workers(make):
    rig = make(stage_config('s', workers=2, concurrency=1))
    rig.start()
    rig.receive('s', 1, 2, 3)
    assert (rig.worker('s', 0).items, rig.worker('s', 1).items) == ([1], [2])
    assert rig.stages['s'].dispatcher.ledger.waiting == 1


def test_a_stage_that_becomes_active_dispatches_what_waits(make):
    rig = make(stage_config('s'))
    rig.start()
    stage = rig.stages['s']
    run(stage.transition('deactivate'), rig.step)
    rig.receive('s', 1)
    assert rig.worker('s').items == []
    run(stage.transition('activate'), rig.step)
    assert rig.worker('s').items == [1]


def test_a_paused_stage_keeps_its_workers_inactive(make):
    rig = make(stage_config('s'))
    rig.start()
    run(rig.stages['s'].transition('deactivate'), rig.step)
    assert rig.worker('s').state == 'inactive'
    assert rig.active('s') == []


def test_the_cause_of_a_failed_item_is_the_workers_last_error(make):
    rig = make(stage_config('s'))
    rig.start()
    rig.receive('s', 1)
    rig.answer(rig.worker('s'), 1, 'error', 'ValueError: cannot do one')
    assert rig.slot('s').last_error == 'ValueError: cannot do one'


def test_retained_frames_are_in_the_journal_and_kept(make):
    rig = make(stage_config('s'), frame_limit=10**6)
    rig.start()
    worker = rig.worker('s')
    rig.send(worker, frames_retained_packet([reference(7)]))
    assert rig.frames.in_use > 0
    assert rig.stages['s'].snapshot()['retained_frames'] == {'worker_0': [reference(7)]}
    rig.send(worker, frames_retained_packet([]))
    assert rig.stages['s'].snapshot()['retained_frames'] == {}
    rig.step()
    assert rig.frames.in_use == 0
    assert retained_in_journal(rig) == [('worker_0', [reference(7)]), ('worker_0', [])]


def test_a_packet_without_a_change_keeps_the_retained_frames(make):
    rig = make(stage_config('s'), frame_limit=10**6)
    rig.start()
    rig.send(rig.worker('s'), frames_retained_packet([reference(7)]))
    rig.report(rig.worker('s'))
    rig.step()
    assert rig.frames.in_use > 0


# -- connections -------------------------------------------------------------------------------


def test_a_worker_that_connects_is_noted_and_asked_for_its_frames(make):
    rig = make(stage_config('s'))
    rig.start()
    assert rig.noted == [rig.worker('s').pid]
    assert rig.worker('s').frames_in_use == [0]


def test_a_worker_that_connects_again_is_sent_what_it_has_not_received(make):
    rig = make(stage_config('s', concurrency=3))
    rig.start()
    rig.receive('s', 1, 2, 3)
    worker = rig.worker('s')
    worker.items.clear()
    rig.connect(worker, received=(1, 3))
    assert worker.items == [2]


def test_an_adopted_worker_is_no_stranger_after_its_connection(make):
    rig = make(stage_config('s'))
    rig.start()
    rig.slot('s').adopted = True
    rig.connect(rig.worker('s'))
    assert not rig.slot('s').adopted


def test_a_new_connection_closes_the_one_before(make):
    rig = make(stage_config('s'))
    rig.start()
    worker = rig.worker('s')
    rig.connect(worker)
    assert rig.processes.log.count(('closed', worker.pid)) == 1


# -- sources -----------------------------------------------------------------------------------


def test_a_source_is_asked_only_when_the_stream_has_started(make):
    rig = make(stage_config('s', startup_timeout=60.0), plugins=SOURCE)
    stage = rig.stages['s']
    rig.interrupted = True
    run(stage.transition('configure'), rig.move_workers)
    run(stage.transition('activate'), rig.move_workers)
    for _ in range(3):
        rig.move_workers()
    assert rig.active('s') == ['worker_0']
    assert rig.worker('s').items == []
    stage.start_stream(rig.clock.monotonic_ns())
    assert rig.worker('s').items == [1, 2]


def test_a_source_with_a_period_is_asked_by_its_timer(make):
    rig = make(stage_config('s', period=0.5), plugins=SOURCE)
    rig.start()
    ((period, elapsed),) = rig.stages['s'].timers_made
    assert period == 0.5
    before = len(rig.worker('s').items)
    rig.clock.now += 0.5
    elapsed()
    assert len(rig.worker('s').items) == before + 1


@pytest.mark.parametrize(('settings', 'plugins'), [({}, SOURCE), ({'period': 1.0}, {})])
def test_only_a_source_with_a_period_has_a_timer(make, settings, plugins):
    rig = make(stage_config('s', **settings), plugins=plugins)
    rig.start()
    assert rig.stages['s'].timers_made == []


def test_cleanup_removes_timer_and_output(make):
    rig = make(stage_config('s', period=0.5), plugins=SOURCE)
    rig.start()
    stage = rig.stages['s']
    run(stage.transition('cleanup'), rig.step)
    assert stage.timers_made == []
    assert stage.output is None
    assert stage.topics_published == {}


# -- rejections --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('reason', 'text'),
    [
        (Acceptance.DUPLICATE, 'an item with this stamp was accepted before'),
        (Acceptance.REFUSED, 'the queue is full, and overflow is block'),
    ],
)
def test_a_rejection_is_logged_with_its_reason(make, reason, text):
    rig = make(stage_config('s'))
    stage = rig.stages['s']
    stage.inputs.report_rejection(ItemKey('input', 1), reason)
    (warning,) = stage.logger.warnings
    assert warning.startswith(f'input: refused an item: {text}')
    assert ('new_run' in warning) == (reason is Acceptance.DUPLICATE)
