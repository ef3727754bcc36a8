# SPDX-License-Identifier: Apache-2.0
"""A rolling update replaces the workers of a stage one after another, while enough are ready."""

from __future__ import annotations

from support.offline_pipeline import GAIN, HEADER, stage_config
from support.offline_stage import pids, reconfigure

from worker_pipeline.config import PluginDescription
from worker_pipeline.core.supervision_table import Phase


def test_a_rolling_update_never_leaves_fewer_ready_workers_than_are_asked_for(make):
    """One of them may still be on its way from inactive to active."""
    rig = make(stage_config('s', workers=2))
    rig.start()
    before = set(pids(rig).values())
    reconfigure(rig, params={'gain': 2.0})
    seen = set()
    for _ in range(80):
        rig.step()
        seen |= set(rig.stages['s'].slots)
        phases = [each.supervision.phase for each in rig.stages['s'].slots.values()]
        assert phases.count(Phase.READY) >= 2
        assert len(rig.active('s')) >= 1
    assert seen == {'worker_0', 'worker_1', 'worker_2'}  # one surge slot
    assert set(rig.stages['s'].slots) == {'worker_0', 'worker_1'}
    assert not before & set(pids(rig).values())
    assert rig.active('s') == ['worker_0', 'worker_1']


def test_a_rolling_update_without_standbys_starts_one_worker_more_first(make):
    rig = make(stage_config('s'))
    rig.start()
    worker = rig.worker('s')
    reconfigure(rig, params={'gain': 2.0})
    rig.step()
    assert list(rig.stages['s'].slots) == ['worker_0', 'worker_1']
    assert worker.requests == []
    assert rig.worker('s', 1).spec.target == 'inactive'


def test_a_rolling_update_uses_the_standby_there_is(make):
    rig = make(stage_config('s', standby=1))
    rig.start()
    before = pids(rig)
    reconfigure(rig, params={'gain': 2.0})
    rig.step()
    # The standby first: it is not needed.
    logged = 'worker_1: replacing it for its new configuration'
    assert rig.stages['s'].logger.infos[-1] == logged
    assert pids(rig)['worker_0'] == before['worker_0']
    rig.run(2.0)
    assert len(rig.stages['s'].slots) == 2
    assert not set(before.values()) & set(pids(rig).values())
    assert len(rig.active('s')) == 1


def test_a_rolling_update_replaces_no_worker_while_another_one_is_not_ready(make):
    rig = make(stage_config('s', workers=2, standby=1))
    rig.start()
    rig.exit(rig.worker('s', 2), 'exited with code 1')
    rig.worker('s', 2).is_stuck = True
    reconfigure(rig, params={'gain': 2.0})
    rig.run(1.0)
    assert not any('replacing it' in each for each in rig.stages['s'].logger.infos)
    rig.worker('s', 2).is_stuck = False
    rig.run(0.2)
    assert any('replacing it' in each for each in rig.stages['s'].logger.infos)


def test_a_stage_that_remembers_is_updated_without_a_surge_slot(make):
    """Its state belongs to the slot: no other slot could continue it."""
    plugins = {'s': PluginDescription(HEADER, HEADER, remembers=True, parameters=GAIN)}
    rig = make(stage_config('s'), plugins=plugins)
    rig.start()
    before = pids(rig)
    reconfigure(rig, params={'gain': 2.0})
    rig.run(1.0)
    assert list(pids(rig)) == ['worker_0']
    assert pids(rig) != before


def test_a_rolling_update_ends(make):
    """Every worker is replaced once, and has the new configuration."""
    rig = make(stage_config('s'))
    rig.start()
    reconfigure(rig, params={'gain': 2.0})
    rig.run(4.0)
    before = pids(rig)
    rig.run(2.0)
    assert pids(rig) == before
    assert rig.worker('s').spec.params == {'gain': 2.0}


def test_the_same_parameters_again_replace_nobody(make):
    rig = make(stage_config('s'))
    rig.start()
    before = pids(rig)
    reconfigure(rig, params={'gain': 2.0})
    reconfigure(rig, params={})
    rig.run(1.0)
    assert pids(rig) == before
    assert not rig.slot('s').has_stale_config


def test_more_concurrency_takes_effect_when_every_worker_has_been_replaced(make):
    """Each worker remembers as many answers as it was started for."""
    rig = make(stage_config('s', concurrency=1))
    rig.start()
    pool = rig.stages['s'].dispatcher.pool
    reconfigure(rig, concurrency=3)
    assert pool.get_worker_concurrency() == 1
    rig.run(4.0)
    assert pool.get_worker_concurrency() == 3


def test_less_concurrency_takes_effect_at_once(make):
    rig = make(stage_config('s', concurrency=3))
    rig.start()
    reconfigure(rig, concurrency=2)
    assert rig.stages['s'].dispatcher.pool.get_worker_concurrency() == 2


def test_a_surge_slot_that_is_asked_for_by_scaling_stays(make):
    rig = make(stage_config('s'))
    rig.start()
    reconfigure(rig, params={'gain': 2.0})
    rig.step()
    reconfigure(rig, workers=2)
    rig.run(4.0)
    assert sorted(rig.stages['s'].slots) == ['worker_0', 'worker_1']
    assert rig.active('s') == ['worker_0', 'worker_1']
