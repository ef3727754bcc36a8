# SPDX-License-Identifier: Apache-2.0
"""A stage starts the workers that are asked for, and leaves none of them when it stops."""

from __future__ import annotations

import signal

from support.fake_nodes import run
from support.offline_pipeline import GAIN, HEADER, stage_config
from support.offline_stage import reconfigure

from worker_pipeline.config import PluginDescription


def test_workers_that_are_asked_for_become_active(make):
    rig = make(stage_config('s', workers=2, standby=1))
    rig.start()
    assert rig.active('s') == ['worker_0', 'worker_1']
    assert rig.worker('s', 2).state == 'inactive'
    assert rig.stages['s'].logger.warnings == []


def test_a_stage_that_remembers_gives_its_workers_one_item_at_a_time(make):
    plugins = {'s': PluginDescription(HEADER, HEADER, remembers=True, parameters=GAIN)}
    rig = make(stage_config('s', concurrency=4), plugins=plugins)
    rig.start()
    rig.receive('s', 1, 2)
    assert len(rig.worker('s').items) == 1
    assert rig.worker('s').spec.state.endswith('states/s.worker_0')


def test_workers_that_are_not_ready_in_time_are_named(make):
    rig = make(stage_config('s', workers=2, startup_timeout=2.0))
    stage = rig.stages['s']
    run(stage.transition('configure'))
    assert stage.logger.warnings == [
        'worker_0, worker_1: not ready after 2.0 s; continuing without'
    ]


def test_workers_that_fail_again_and_again_hold_nobody_up(make):
    """They are named with the cause, before their time is over."""
    rig = make(stage_config('s', startup_timeout=30.0))
    stage = rig.stages['s']

    def fail():
        for worker in rig.processes.workers.values():
            worker.death = 'exit code 70'
        rig.step()

    begin = rig.clock.now
    run(stage.transition('configure'), fail)
    (warning,) = [each for each in stage.logger.warnings if 'not ready' in each]
    assert warning.startswith('worker_0 (exit code 70): not ready after ')
    assert warning.endswith(' s; continuing without')
    assert rig.clock.now - begin < 10.0


def test_a_stop_takes_every_worker_through_its_lifecycle(make):
    rig = make(stage_config('s', workers=2, standby=1))
    rig.start()
    stage = rig.stages['s']
    assert run(stage.stop_workers(1.0), rig.step)
    assert stage.workers.all_gone
    assert rig.processes.signals == []
    assert rig.processes.workers == {}


def test_a_stop_ends_a_hanging_worker_by_signals(make):
    rig = make(stage_config('s'))
    rig.start()
    worker = rig.worker('s')
    worker.is_silent = True
    assert run(rig.stages['s'].stop_workers(1.0), rig.step)
    assert rig.processes.signals == [
        (worker.pid, signal.SIGTERM),
        (worker.pid, signal.SIGKILL),
    ]


def test_cleanup_removes_slots_endpoints_and_saved_states(make):
    rig = make(stage_config('s'), stage_config('s2'))
    rig.start()
    for name in ('s.worker_0', 's2.worker_0'):
        (rig.state_dir.states / name).write_text('state')
    stage = rig.stages['s']
    run(stage.transition('cleanup'), rig.step)
    assert stage.slots == {}
    assert stage.topics_published == {}
    assert stage.topics_subscribed == {}
    assert [each.name for each in rig.state_dir.states.iterdir()] == ['s2.worker_0']


def test_a_stopping_stage_starts_no_workers(make):
    rig = make(stage_config('s'))
    rig.start()
    rig.stages['s'].workers.begin_stop(1.0)
    reconfigure(rig, workers=3)
    rig.run()
    assert list(rig.stages['s'].slots) == ['worker_0']
