# SPDX-License-Identifier: Apache-2.0
"""A stage's node continues from what the node of an earlier manager and its workers left."""

from __future__ import annotations

import pytest
from support.fake_workers import FIRST_PID, FakeRecord
from support.offline_pipeline import HEADER, message, stage_config
from support.offline_stage import reference

from worker_pipeline.config import PluginDescription
from worker_pipeline.protocol.answers import OUTPUT, Answer, RecentAnswers
from worker_pipeline.recovery.journal import read
from worker_pipeline.recovery.recover import RecoveredStage
from worker_pipeline.recovery.saved_state import SavedState


def recovered_from(rig, *dead, **live):
    """Return the state that a stage would leave if its manager died now."""
    stage = rig.stages['s']
    snapshot = stage.snapshot()
    return RecoveredStage(
        snapshot=snapshot,
        live_workers=live,
        active_items=dict.fromkeys(dead, 0),
        payloads={1: message(1), 2: message(2)},
        subscribers=snapshot['subscribers'],
        retained_frames=dict(snapshot['retained_frames']),
    )


def test_items_of_a_worker_that_died_with_the_manager_are_requeued(make):
    first = make(stage_config('s', concurrency=1))
    first.start()
    first.receive('s', 1, 2)
    second = make(stage_config('s', concurrency=1))
    second.stages['s'].restore(recovered_from(first, 'worker_0'))
    second.start()
    assert second.worker('s').items == [1]
    second.answer(second.worker('s'), 1)
    assert second.worker('s').items == [1, 2]


def test_the_item_that_killed_a_worker_without_a_manager_is_a_suspect(make):
    first = make(stage_config('s', max_attempts=1))
    first.start()
    first.receive('s', 1)
    recovered = recovered_from(first)
    recovered.active_items = {'worker_0': 1}
    second = make(stage_config('s', max_attempts=1))
    second.stages['s'].restore(recovered)
    second.start()
    assert [each[3:] for each in second.quarantine.items] == [
        (1, 'died while there was no manager')
    ]


def test_items_of_a_live_worker_stay_with_it(make, tmp_path):
    first = make(stage_config('s'))
    first.start()
    first.receive('s', 1)
    second = make(stage_config('s'))
    beat = second.clock.monotonic_ns()
    record = FakeRecord(tmp_path / 'old', pid=FIRST_PID - 1, heartbeat_at=beat)
    second.stages['s'].restore(recovered_from(first, worker_0=record))
    second.start(0.0)
    assert second.stages['s'].dispatcher.ledger.held_by('worker_0') == 1


@pytest.mark.parametrize('is_alive', [True, False])
def test_only_frames_that_live_workers_retain_are_kept(make, tmp_path, is_alive):
    rig = make(stage_config('s'), frame_limit=10**6)
    record = FakeRecord(tmp_path / 'old', pid=FIRST_PID - 1)
    recovered = RecoveredStage(
        retained_frames={'worker_0': [reference(7)]},
        live_workers={'worker_0': record} if is_alive else {},
    )
    rig.stages['s'].restore(recovered)
    assert (rig.frames.in_use > 0) is is_alive


def test_a_snapshot_before_the_stage_is_configured_has_what_was_recovered(make):
    """The manager may die again before its stages are configured."""
    rig = make(stage_config('s'))
    rig.stages['s'].restore(RecoveredStage(subscribers=3, unacked_outputs=[b'x']))
    snapshot = rig.stages['s'].snapshot()
    assert (snapshot['subscribers'], snapshot['unacked_outputs']) == (3, [b'x'])


@pytest.mark.parametrize('subscribers', [0, 2])
def test_an_output_before_the_topic_is_open_waits_for_the_subscribers(make, tmp_path, subscribers):
    """As those that the earlier manager had not delivered; another crash does not lose it."""
    rig = make(stage_config('s'), journal=True)
    rig.stages['s'].restore(RecoveredStage(subscribers=subscribers, unacked_outputs=[b'x']))
    rig.stages['s'].resume()
    with rig.outbox:
        rig.stages['s'].publish(b'y')
    rig.journal.close()
    recovered = read(tmp_path / '0' / 'journal')
    expected = [[('s', 'unacked', (b'y',))]] if subscribers else []
    assert recovered.entries == expected
    assert rig.stages['s'].snapshot()['unacked_outputs'] == [b'x', *([b'y'] if subscribers else [])]


def test_a_stage_without_an_output_has_no_subscribers(make):
    snapshot = make(stage_config('s')).stages['s'].snapshot()
    assert (snapshot['subscribers'], snapshot['unacked_outputs']) == (0, [])


@pytest.mark.parametrize('has_died', ['before', 'with the manager'])
def test_a_frame_that_a_dead_worker_had_saved_counts_for_the_next_item(make, has_died):
    """Its stage's next item is admitted by the size of the frames that the stage makes."""
    plugins = {'s': PluginDescription(HEADER, HEADER, remembers=True)}
    first = make(stage_config('s'), plugins=plugins, frame_limit=10**6)
    first.start()
    first.receive('s', 1)
    pid = first.worker('s').pid
    rig = first
    if has_died == 'with the manager':
        rig = make(stage_config('s'), plugins=plugins, frame_limit=10**6)
        recovered = recovered_from(first, 'worker_0')
        recovered.dead_pids = {'worker_0': pid}
        rig.stages['s'].restore(recovered)
    answers = RecentAnswers(4)
    answers.add(Answer(1, OUTPUT, output=reference(pid)))
    SavedState(rig.state_dir.states / 's.worker_0').write(b'state', answers)
    if rig is first:
        rig.exit(rig.worker('s'), 'exited with code 1')
    else:
        rig.start()
    dispatcher = rig.stages['s'].dispatcher
    assert dispatcher.ledger.counters.completed == 1
    rig.receive('s', 2)
    rig.run()
    assert dispatcher.budget.committed_bytes('s') > 0
