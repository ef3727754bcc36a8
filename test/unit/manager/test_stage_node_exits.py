# SPDX-License-Identifier: Apache-2.0
"""When a worker exits, the node of its stage gives its items to others, or quarantines them."""

from __future__ import annotations

import attrs
from support.offline_pipeline import HEADER, message, stage_config
from support.offline_stage import reference

from worker_pipeline.config import PluginDescription
from worker_pipeline.manager.worker_facts import WorkerExited
from worker_pipeline.protocol.answers import OUTPUT, Answer, RecentAnswers
from worker_pipeline.protocol.packets import answer_packet, frames_retained_packet
from worker_pipeline.recovery.saved_state import SavedState


def test_the_items_of_a_dead_worker_go_to_others(make):
    rig = make(stage_config('s', workers=2))
    rig.start()
    rig.receive('s', 1, 2)
    rig.exit(rig.worker('s', 0), 'exited with code 1')
    assert rig.worker('s', 1).items == [2, 1]
    logged = 'worker_0 exited: exited with code 1; requeued its 1 item'
    assert logged in rig.stages['s'].logger.warnings


def test_the_exit_of_a_worker_without_items_says_so(make):
    rig = make(stage_config('s', workers=2))
    rig.start()
    rig.exit(rig.worker('s', 0), 'exited with code 1')
    logged = 'worker_0 exited: exited with code 1; it held no items'
    assert logged in rig.stages['s'].logger.warnings


def test_answers_that_a_worker_sent_before_it_died_count(make):
    rig = make(stage_config('s', workers=2))
    rig.start()
    rig.receive('s', 1, 2)
    worker = rig.worker('s', 0)
    rig.leave_unread(worker, answer_packet(Answer(1, OUTPUT, output=message(1))))
    rig.exit(worker, 'exited with code 1')
    assert rig.worker('s', 1).items == [2]
    assert rig.stages['s'].dispatcher.ledger.counters.completed == 1


def test_an_exit_that_was_asked_for_is_no_warning(make):
    rig = make(stage_config('s', workers=2))
    rig.start()
    stage = rig.stages['s']
    stage.reconfigure(attrs.evolve(stage.config, workers=1))
    rig.run()
    assert stage.logger.warnings == []


def test_an_item_that_kills_two_workers_is_quarantined_and_their_restarts_are_refunded(make):
    rig = make(stage_config('s', max_attempts=2))
    rig.start()
    rig.receive('s', 1)
    for _ in range(2):
        rig.record('s').set(active_item=1)
        rig.exit(rig.worker('s'), 'exited with code 4')
        rig.run(0.3)
    assert rig.quarantine.items == [
        ('s', '/airside/s/input', HEADER, 1, 'exited with code 4'),
    ]
    assert rig.stages['s'].logger.errors == ['quarantined 1: exited with code 4']
    assert rig.active('s') == ['worker_0']
    policy = rig.slot('s').supervision.policy
    assert len(policy._restarts) < 2


def test_a_dead_workers_record_and_frames_are_released_after_the_requeue(make):
    rig = make(stage_config('s'), frame_limit=10**6)
    rig.start()
    record = rig.record('s')
    rig.send(rig.worker('s'), frames_retained_packet([reference(7)]))
    died = []
    rig.frames.producer_died = lambda pid: died.append((pid, record.is_removed))
    pid = rig.worker('s').pid
    rig.exit(rig.worker('s'), 'exited with code 1')
    assert died == [(pid, False)]
    assert record.is_removed
    assert rig.stages['s'].snapshot()['retained_frames'] == {}


def test_the_record_stays_until_the_requeue_is_in_the_journal(make):
    rig = make(stage_config('s'))
    rig.start()
    rig.receive('s', 1)
    record, seen = rig.record('s'), []
    commit = rig.journal.commit
    rig.journal.commit = lambda: (seen.append(record.is_removed), commit())
    rig.exit(rig.worker('s'), 'exited with code 1')
    assert seen[0] is False
    assert record.is_removed


def test_an_exit_without_a_record_frees_nothing(make):
    """The worker could not be started."""
    rig = make(stage_config('s'))
    rig.start()
    stage = rig.stages['s']
    stage.workers.facts.append(WorkerExited('worker_0', 'cannot be started', None, None, True))
    stage._consume_facts()
    assert rig.errors == []


def exit_after_saving(rig):
    """Let the worker of ``s`` exit with an item of which it has saved the answer."""
    rig.receive('s', 1)
    answers = RecentAnswers(4)
    answers.add(Answer(1, OUTPUT, output=message(1)))
    SavedState(rig.state_dir.states / 's.worker_0').write(b'state', answers)
    rig.exit(rig.worker('s'), 'exited with code 1')
    rig.run()


def test_what_a_remembering_worker_had_saved_is_not_given_to_the_next(make):
    plugins = {'s': PluginDescription(HEADER, HEADER, remembers=True)}
    rig = make(stage_config('s'), plugins=plugins)
    rig.start()
    exit_after_saving(rig)
    assert rig.worker('s').items == []
    assert rig.stages['s'].dispatcher.ledger.counters.completed == 1


def test_what_a_forgetful_worker_left_in_a_state_file_is_ignored(make):
    rig = make(stage_config('s'))
    rig.start()
    exit_after_saving(rig)
    assert rig.worker('s').items == [1]
