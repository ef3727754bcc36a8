# SPDX-License-Identifier: Apache-2.0
"""A stage's configuration becomes the policy of its dispatcher."""

from __future__ import annotations

import pytest
from support.offline_pipeline import HEADER, stage_config

from worker_pipeline.config import PluginDescription
from worker_pipeline.core.ledger import Overflow
from worker_pipeline.core.stage_policy import StagePolicy
from worker_pipeline.manager.policies import policy_of

TICK = 'sensor_msgs/msg/TimeReference'


def test_every_setting_that_concerns_items_is_passed_on():
    config = stage_config(
        's',
        'a',
        '/topic',
        queue_size=7,
        overflow=Overflow.BLOCK,
        max_attempts=3,
        ordered=False,
        concurrency=4,
        period=0.5,
    )
    assert policy_of(config, PluginDescription(HEADER, HEADER)) == StagePolicy(
        queue_size=7,
        overflow=Overflow.BLOCK,
        max_attempts=3,
        ordered=False,
        concurrency=4,
        inputs=('a', '/topic'),
        is_source=False,
        period=0.5,
    )


def test_a_stage_that_remembers_takes_its_items_one_at_a_time():
    plugin = PluginDescription(HEADER, HEADER, remembers=True)
    assert policy_of(stage_config('s', concurrency=4), plugin).concurrency == 1


@pytest.mark.parametrize(
    ('inputs', 'input_type', 'is_source'),
    [((), TICK, True), (('a',), TICK, False), ((), HEADER, False)],
)
def test_a_source_has_no_input_and_takes_ticks(inputs, input_type, is_source):
    plugin = PluginDescription(input_type, HEADER)
    assert policy_of(stage_config('s', *inputs), plugin).is_source is is_source
