# SPDX-License-Identifier: Apache-2.0
"""Valid parameters become the configuration, with defaults for the keys that are not given."""

from __future__ import annotations

import pytest
import yaml
from support.configuring import flat
from support.minimal_configuration import minimal, problems

from worker_pipeline.config import PIPELINE_KEYS, STAGE_KEYS, load
from worker_pipeline.core.ledger import Overflow

SAMPLE = """
/**/manager:
  ros__parameters:
    stages: [video_input, detect_target, flight_interface, data_merge]   # order is only for people
    heartbeat_period: 0.1        # s
    heartbeat_timeout: 1.0       # s without a heartbeat: the worker hangs, and is replaced
    restart_backoff_max: 10.0    # s; the first restart is immediate
    restart_limit: 5             # more restarts than this within restart_window: ERROR
    restart_window: 30.0         # s
    spares: 1                    # processes kept ready to become any worker
    orphan_timeout: 30.0         # s
    shutdown_timeout: 10.0       # s to drain on SIGINT/SIGTERM before workers are stopped
    journal: false               # true: accepted items survive a crash of the manager
    exit_when_done: false        # true: end when every source is exhausted and drained
    detect_target:
      plugin: worker_pipeline.airside.detect_target:DetectTarget
      input: video_input         # a stage, or an absolute topic; or a list of them
      period: 0.0                # s; sources only: one item is asked for every period
      workers: 2                 # >= 1
      standby: 0
      concurrency: 2
      queue_size: 10             # items
      overflow: drop_oldest      # or block (only where the input is a stage)
      ordered: true
      task_timeout: 5.0          # s one item may take before the worker counts as hung
      startup_timeout: 30.0      # s from process start to active
      max_attempts: 2
      memory_limit: 0.0          # MB of resident size; 0: no limit
      context: {odometry: flight_interface}    # name: stage or absolute topic
      params: {confidence: 0.5}  # the stage's own
    video_input: {plugin: 'worker_pipeline.airside.video_input:VideoInput', period: 0.1}
    flight_interface: {plugin: 'worker_pipeline.airside.flight_interface:FlightInterface'}
    data_merge:
      plugin: worker_pipeline.airside.data_merge:DataMerge
      input: [detect_target, /other/detections]
"""


def test_the_sample_of_the_contract_is_valid():
    """Every key has the value in the sample."""
    config = load(flat(yaml.safe_load(SAMPLE)['/**/manager']['ros__parameters']))
    assert list(config.stages) == ['video_input', 'detect_target', 'flight_interface', 'data_merge']
    stage = config.stages['detect_target']
    assert stage.name == 'detect_target'
    assert stage.plugin == 'worker_pipeline.airside.detect_target:DetectTarget'
    assert stage.inputs == ('video_input',)
    assert (stage.period, stage.workers, stage.standby, stage.concurrency) == (0.0, 2, 0, 2)
    assert (stage.queue_size, stage.overflow, stage.ordered) == (10, Overflow.DROP_OLDEST, True)
    assert (stage.task_timeout, stage.startup_timeout, stage.max_attempts) == (5.0, 30.0, 2)
    assert stage.memory_limit == 0.0
    assert stage.context == {'odometry': 'flight_interface'}
    assert stage.params == {'confidence': 0.5}
    assert config.stages['video_input'].inputs == ()
    assert config.stages['video_input'].period == 0.1
    assert config.stages['data_merge'].inputs == ('detect_target', '/other/detections')
    assert (config.heartbeat_period, config.heartbeat_timeout) == (0.1, 1.0)
    assert (config.restart_backoff_max, config.restart_limit) == (10.0, 5)
    assert (config.restart_window, config.spares) == (30.0, 1)
    assert (config.orphan_timeout, config.shutdown_timeout) == (30.0, 10.0)
    assert (config.journal, config.exit_when_done) == (False, False)


def test_keys_that_are_not_given_have_the_defaults_of_the_contract():
    """The sample has the defaults, except for the number of workers."""
    config = load(minimal())
    sample = load(flat(yaml.safe_load(SAMPLE)['/**/manager']['ros__parameters']))
    for key in PIPELINE_KEYS:
        assert getattr(config, key) == getattr(sample, key)
    ours, theirs = config.stages['detector'], sample.stages['detect_target']
    for key in set(STAGE_KEYS) - {'plugin', 'input', 'workers'}:
        assert getattr(ours, key) == getattr(theirs, key), key
    assert ours.workers == 1
    assert (ours.context, ours.params) == ({}, {})


def test_an_int_is_accepted_for_a_float():
    """``period: 1`` is one second."""
    period = load(minimal(camera__period=1)).stages['camera'].period
    assert (period, type(period)) == (1.0, float)


def test_params_may_have_any_name_and_value():
    """Also nested ones: the stage's class checks them."""
    stage = load(minimal(detector__params__a=1, detector__params__b__c=[1, 2])).stages['detector']
    assert stage.params == {'a': 1, 'b.c': [1, 2]}


def test_block_is_accepted_if_every_input_is_a_stage():
    """Stages can be made to wait."""
    stage = load(minimal(detector__overflow='block')).stages['detector']
    assert stage.overflow is Overflow.BLOCK


def test_parameters_that_every_ros_node_has_are_ignored():
    """They are neither used nor reported as unknown."""
    further = {
        'start_type_description_service': True,
        'qos_overrides./tf.subscription.depth': 5,
    }
    assert load(minimal() | further) == load(minimal())


def test_simulated_time_is_the_whole_pipelines():
    """By the parameter of the manager that every node has; of a stage it is an unknown key."""
    assert load(minimal()).use_sim_time is False
    assert load(minimal(use_sim_time=True)).use_sim_time is True
    (problem,) = problems(minimal(detector__use_sim_time=True))
    assert problem == (
        "detector.use_sim_time: found True; allowed: only the manager's own use_sim_time, which "
        'holds for every node of the pipeline'
    )


def test_followers_are_the_stages_that_take_the_output():
    """As an input; a context does not count."""
    config = load(
        {
            'stages': ['a', 'b', 'c', 'd'],
            **{f'{name}.plugin': 'm:C' for name in 'abcd'},
            'b.input': 'a',
            'c.input': ['b', 'a'],
            'd.context.x': 'a',
        }
    )
    assert config.followers('a') == ['b', 'c']
    assert config.followers('b') == ['c']
    assert config.followers('d') == []


def test_a_context_may_close_a_cycle():
    """It is broadcast, and no stage waits for it."""
    config = load(minimal(camera__context__last='detector'))
    assert config.stages['camera'].context == {'last': 'detector'}


def test_standbys_are_accepted():
    """But not a negative number of them."""
    assert load(minimal(detector__standby=2)).stages['detector'].standby == 2
    assert problems(minimal(detector__standby=-1)) == [
        'detector.standby: found -1 (an int); allowed: an int from 0 to 100'
    ]


@pytest.mark.parametrize('journal', [False, True])
def test_the_journal_is_on_or_off(journal: bool):
    """Either is a choice."""
    assert load(minimal(journal=journal)).journal is journal
