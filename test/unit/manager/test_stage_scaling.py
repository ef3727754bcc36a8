# SPDX-License-Identifier: Apache-2.0
"""A stage that is asked for more or fewer workers adds slots, or drains and removes them."""

from __future__ import annotations

import signal

from support.offline_pipeline import stage_config
from support.offline_stage import pids, reconfigure


def test_scaling_up_adds_workers_and_keeps_the_others(make):
    rig = make(stage_config('s'))
    rig.start()
    before = pids(rig)
    reconfigure(rig, workers=3)
    rig.run()
    assert rig.active('s') == ['worker_0', 'worker_1', 'worker_2']
    assert pids(rig)['worker_0'] == before['worker_0']


def test_scaling_up_makes_standbys_active_before_new_workers(make):
    rig = make(stage_config('s', standby=1))
    rig.start()
    reconfigure(rig, workers=2)
    assert rig.worker('s', 1).requests == ['activate']
    rig.run()
    assert rig.active('s') == ['worker_0', 'worker_1']
    assert rig.worker('s', 2).state == 'inactive'


def test_scaling_down_removes_a_slot_when_its_worker_has_exited(make):
    rig = make(stage_config('s', workers=2))
    rig.start()
    worker = rig.worker('s', 1)
    reconfigure(rig, workers=1)
    assert worker.requests == ['shutdown']
    assert rig.active('s') == ['worker_0']
    assert 's/worker_1/work' in rig.stages['s'].topics_published
    rig.run()
    assert list(rig.stages['s'].slots) == ['worker_0']
    assert not {each for each in rig.stages['s'].topics_published if 'worker_1' in each}
    assert not {each for each in rig.stages['s'].topics_subscribed if 'worker_1' in each}
    assert rig.errors == []


def test_a_worker_that_drains_is_not_signalled_before_its_items_may_be_finished(make):
    """It has the timeout of every item that it may hold, and two seconds."""
    rig = make(stage_config('s', workers=2, task_timeout=1.0, concurrency=3))
    rig.start()
    worker = rig.worker('s', 1)
    reconfigure(rig, workers=1)
    worker.is_silent = True  # it neither exits nor says anything
    rig.run(4.9)
    assert rig.processes.signals == []
    rig.run(0.3)
    assert rig.processes.signals == [(worker.pid, signal.SIGTERM)]


def test_scaling_up_again_while_a_worker_drains_replaces_it_when_it_has_gone(make):
    rig = make(stage_config('s', workers=2))
    rig.start()
    first = rig.worker('s', 1).pid
    reconfigure(rig, workers=1)
    reconfigure(rig, workers=2)
    assert rig.slot('s', 1).draining
    rig.run()
    assert rig.active('s') == ['worker_0', 'worker_1']
    assert rig.worker('s', 1).pid != first
