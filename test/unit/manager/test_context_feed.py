# SPDX-License-Identifier: Apache-2.0
"""Outputs of a stage go to all workers that have them as a context."""

from __future__ import annotations

import pytest
from support.offline_pipeline import HEADER, stage_config

from worker_pipeline.config import PluginDescription
from worker_pipeline.core.dispatcher_actions import PublishOutput
from worker_pipeline.manager.context_feed import own_contexts
from worker_pipeline.ros import qos

USER = PluginDescription(HEADER, HEADER, contexts=dict.fromkeys(('a', 'b', 'c'), HEADER))
CONTEXTS = {'a': '/topic', 'b': 'telemetry', 'c': 'home', 'unknown': 'home'}


@pytest.fixture
def rig(make):
    found = make(
        stage_config('telemetry'),
        stage_config('home'),
        stage_config('user', context=CONTEXTS, workers=2, standby=1),
        stage_config('open', context={'b': 'telemetry'}, accept_external=True),
        plugins={'user': USER, 'open': USER},
    )
    found.start()
    return found


def publish(rig, stage: str, *outputs: bytes) -> None:
    for output in outputs:
        with rig.outbox:
            rig.dispatcher.actions.append(PublishOutput(stage, output))


def contexts_of(rig, stage: str, index: int = 0):
    return rig.worker(stage, index).contexts


def test_every_worker_gets_each_message(rig):
    """Also one that is on standby."""
    publish(rig, 'telemetry', b'1', b'2')
    publish(rig, 'home', b'3')
    for index in range(3):
        assert contexts_of(rig, 'user', index) == [(0, b'1'), (0, b'2'), (1, b'3')]


def test_others_get_none(rig):
    """Nor do workers that subscribe by themselves."""
    publish(rig, 'telemetry', b'1')
    publish(rig, 'user', b'2')
    for stage in ('telemetry', 'home', 'open'):
        assert contexts_of(rig, stage) == []


def test_a_worker_that_comes_later_gets_the_last_messages(rig):
    publish(rig, 'telemetry', *(b'%d' % each for each in range(qos.CONTEXT_DEPTH + 3)))
    publish(rig, 'home', b'home')
    rig.worker('user').death = 'killed by SIGKILL'
    rig.run()
    kept = contexts_of(rig, 'user')
    assert kept[0] == (0, b'3')
    assert kept[-1] == (1, b'home')
    assert len(kept) == qos.CONTEXT_DEPTH + 1


def test_contexts_are_numbered_by_name():
    """A worker and its manager count alike; topics and unknown names do not count."""
    stage = stage_config('user', context=CONTEXTS)
    assert own_contexts(stage, USER) == ('b', 'c')


def test_specs_have_the_other_contexts_topics(rig):
    specs = {name: rig.worker(name).spec for name in ('user', 'open')}
    assert specs['user'].contexts == {'a': ('/topic', False)}
    assert specs['user'].own_contexts == ('b', 'c')
    assert specs['open'].contexts == {'b': ('/airside/telemetry/output', True)}
    assert specs['open'].own_contexts == ()
