# SPDX-License-Identifier: Apache-2.0
"""A stage's node applies its settings, serves drain and flush, and reports statistics."""

from __future__ import annotations

from types import SimpleNamespace

import attrs
import pytest
from support.fake_nodes import run
from support.offline_pipeline import HEADER, stage_config

from worker_pipeline.config import PluginDescription
from worker_pipeline.core.ledger import Overflow

# -- settings, drain and flush -----------------------------------------------------------------


def test_a_changed_queue_applies_at_once(make):
    rig = make(stage_config('s', queue_size=10, workers=1))
    rig.start()
    stage = rig.stages['s']
    rig.receive('s', *range(1, 9))
    stage.reconfigure(attrs.evolve(stage.config, queue_size=2))
    assert stage.dispatcher.ledger.waiting == 2
    assert stage.statistics(rig.clock.now).values['queue_size'] == 2


def test_flush_drops_the_queue_and_returns_how_many(make):
    rig = make(stage_config('s', concurrency=1))
    rig.start()
    rig.receive('s', 1, 2, 3)
    response = rig.stages['s'].services_served['s/flush'](None, SimpleNamespace())
    assert (response.success, response.message) == (True, 'dropped 2 items')


def test_drain_waits_for_the_items_that_are_here(make):
    """Not for those that come later."""
    rig = make(stage_config('s', concurrency=1))
    rig.start()
    rig.receive('s', 1)
    turns = []

    def turn():
        turns.append(None)
        if len(turns) == 3:
            rig.answer(rig.worker('s'), 1)
            rig.receive('s', 2)

    response = SimpleNamespace()
    run(rig.stages['s'].services_served['s/drain'](None, response), turn)
    assert (response.success, response.message) == (True, 'drained')
    assert len(turns) == 3


@pytest.mark.parametrize('state', ['active', 'inactive'])
def test_drain_ends_when_the_stage_stops(make, state):
    rig = make(stage_config('s'))
    rig.start()
    rig.receive('s', 1)
    rig.stages['s'].state = state
    rig.interrupted = state == 'active'
    word = {'active': 'stopping', 'inactive': 'inactive'}[state]
    response = SimpleNamespace()
    run(rig.stages['s'].services_served['s/drain'](None, response))
    assert (response.success, response.message) == (False, f's is {word}; 1 items are left')


def test_an_output_that_is_a_context_is_latched(make):
    rig = make(stage_config('s'), stage_config('t', context={'reference': 's'}))
    rig.start(0.0)
    profiles = [
        each.topics_published[f'{name}/output'].profile for name, each in rig.stages.items()
    ]
    assert [each.durability.name for each in profiles] == ['TRANSIENT_LOCAL', 'VOLATILE']


def test_large_outputs_are_kept_in_small_numbers(make):
    image = 'sensor_msgs/msg/Image'
    plugins = {'s': PluginDescription(HEADER, image)}
    rig = make(stage_config('s'), stage_config('t'), plugins=plugins)
    rig.start(0.0)
    depths = [
        each.topics_published[f'{name}/output'].profile.depth for name, each in rig.stages.items()
    ]
    assert depths == [10, 5000]


# -- statistics --------------------------------------------------------------------------------


def test_drops_are_logged_at_the_next_tick(make):
    rig = make(stage_config('s', queue_size=1, concurrency=1))
    rig.start()
    rig.receive('s', 1, 2, 3, 4)
    rig.step()
    assert rig.stages['s'].logger.warnings == [
        'dropped 2 items: the queue was full (queue_size: 1)'
    ]


def test_statistics_add_what_went_wrong_on_the_way(make):
    rig = make(stage_config('s', overflow=Overflow.BLOCK, queue_size=1, concurrency=1))
    rig.start()
    rig.receive('s', 1, 2, 3)
    subscription = rig.stages['s'].topics_subscribed['s/input']
    subscription.receive(b'no message')
    subscription.status.lost = 5
    rig.stages['s'].inputs.tick(rig.clock.now + 1.0)
    found = rig.stages['s'].statistics(rig.clock.now)
    assert (found.values['refused'], found.values['lost']) == (2, 5)
    assert (found.name, found.node) == ('s', '/airside/s')
    assert (found.workers_wanted, found.workers_active) == (1, 1)
    assert [each.in_flight for each in found.workers] == [1]
