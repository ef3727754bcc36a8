"""The configuration: what is taken, and each error in its words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from support.configuring import flat

from worker_pipeline.config import (
    PIPELINE_KEYS,
    STAGE_KEYS,
    TICK_TYPE,
    ConfigurationError,
    PipelineConfig,
    PluginDescription,
    check_links,
    is_source,
    load,
)
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


def minimal(**further: Any) -> dict[str, Any]:
    """A camera and a detector, which is all that is needed; ``a__b`` stands for ``a.b``."""
    return {
        'stages': ['camera', 'detector'],
        'camera.plugin': 'stages:Camera',
        'detector.plugin': 'stages:Detector',
        'detector.input': 'camera',
    } | {key.replace('__', '.'): value for key, value in further.items()}


def problems(parameters: Mapping[str, Any]) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load(parameters)
    assert str(caught.value) == '\n'.join(caught.value.problems)
    return caught.value.problems


# -- what is taken -------------------------------------------------------------------------------


def test_the_sample_of_the_contract_loads():
    """Every key of it, with the value it says."""
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


def test_a_key_that_is_not_given_has_the_contract_s_default():
    """The contract's sample says the defaults, but for the two workers."""
    config = load(minimal())
    sample = load(flat(yaml.safe_load(SAMPLE)['/**/manager']['ros__parameters']))
    for key in PIPELINE_KEYS:
        assert getattr(config, key) == getattr(sample, key)
    ours, theirs = config.stages['detector'], sample.stages['detect_target']
    for key in set(STAGE_KEYS) - {'plugin', 'input', 'workers'}:
        assert getattr(ours, key) == getattr(theirs, key), key
    assert ours.workers == 1
    assert (ours.context, ours.params) == ({}, {})


def test_an_int_stands_for_a_float():
    """``period: 1`` is one second."""
    period = load(minimal(camera__period=1)).stages['camera'].period
    assert (period, type(period)) == (1.0, float)


def test_params_are_the_stage_s_own():
    """Any name, any value, also nested: the stage's class judges them."""
    stage = load(minimal(detector__params__a=1, detector__params__b__c=[1, 2])).stages['detector']
    assert stage.params == {'a': 1, 'b.c': [1, 2]}


def test_a_block_is_taken_where_every_input_is_a_stage():
    """Only a stage can be made to wait."""
    stage = load(minimal(detector__overflow='block')).stages['detector']
    assert stage.overflow is Overflow.BLOCK


def test_parameters_that_every_ros_node_has_are_not_ours():
    """They are neither taken nor reported."""
    further = {
        'use_sim_time': True,
        'start_type_description_service': True,
        'qos_overrides./tf.subscription.depth': 5,
    }
    assert load(minimal() | further) == load(minimal())


def test_followers_are_the_stages_that_take_the_output():
    """As an input; a context has no followers."""
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


# -- each error in its words ---------------------------------------------------------------------

TOPIC_OR_STAGE = 'allowed: a stage or an absolute topic'
PLUGIN_ALLOWED = 'allowed: module:Class on the Python path'
NAMES = 'allowed: names of letters, digits and underscores that begin with a letter'


@pytest.mark.parametrize(
    ('key', 'value', 'problem'),
    [
        # the pipeline's keys: type, range, choice
        ('heartbeat_period', 'x', "found 'x' (a string); allowed: a float from 0.01 to 604800 [s]"),
        ('heartbeat_period', 0.0, 'found 0.0 (a float); allowed: a float from 0.01 to 604800 [s]'),
        (
            'heartbeat_timeout',
            None,
            'found None (nothing); allowed: a float from 0.05 to 604800 [s]',
        ),
        (
            'heartbeat_timeout',
            0.1,
            'found 0.1; allowed: a float of more than heartbeat_period, 0.1 [s]',
        ),
        (
            'restart_backoff_max',
            -1.0,
            'found -1.0 (a float); allowed: a float from 0 to 604800 [s]',
        ),
        ('restart_limit', 1.5, 'found 1.5 (a float); allowed: an int of 0 or more'),
        ('restart_window', 0, 'found 0 (an int); allowed: a float from 0.1 to 604800 [s]'),
        ('spares', -1, 'found -1 (an int); allowed: an int from 0 to 100'),
        ('orphan_timeout', [], 'found [] (a list); allowed: a float from 0 to 604800 [s]'),
        (
            'shutdown_timeout',
            float('nan'),
            'found nan (a float); allowed: a float from 0 to 604800 [s]',
        ),
        (
            'orphan_timeout',
            float('inf'),
            'found inf (a float); allowed: a float from 0 to 604800 [s]',
        ),
        ('orphan_timeout', 1e18, 'found 1e+18 (a float); allowed: a float from 0 to 604800 [s]'),
        ('use_sim_time', 'yes', "found 'yes' (a string); allowed: a bool"),
        ('exit_when_done', 1, 'found 1 (an int); allowed: a bool'),
        ('heartbeat_perio', 0.1, "unknown key; did you mean 'heartbeat_period'?"),
        ('stage', ['a'], "unknown key; did you mean 'stages'?"),
        ('', 1, 'unknown key; known: exit_when_done, '),
        ('a\nb', 1, 'unknown key; known: exit_when_done, '),
        # a stage's keys
        ('camera.period', 1e-9, 'found 1e-09; allowed: 0.0, or a float of 0.001 or more [s]'),
        ('detector.workers', 10**9, 'found 1000000000 (an int); allowed: an int from 1 to 100'),
        ('detector.workers', 0, 'found 0 (an int); allowed: an int from 1 to 100'),
        ('detector.workers', -2, 'found -2 (an int); allowed: an int from 1 to 100'),
        ('detector.workers', 2.0, 'found 2.0 (a float); allowed: an int from 1 to 100'),
        ('detector.workers', True, 'found True (a bool); allowed: an int from 1 to 100'),
        ('detector.concurrency', 0, 'found 0 (an int); allowed: an int from 1 to 1000'),
        ('detector.queue_size', 0, 'found 0 (an int); allowed: an int from 1 to 1000000'),
        ('detector.ordered', 'yes', "found 'yes' (a string); allowed: a bool"),
        (
            'detector.task_timeout',
            0.0,
            'found 0.0 (a float); allowed: a float from 0.01 to 604800 [s]',
        ),
        (
            'detector.startup_timeout',
            -1,
            'found -1 (an int); allowed: a float from 0.1 to 604800 [s]',
        ),
        ('detector.max_attempts', 0, 'found 0 (an int); allowed: an int of 1 or more'),
        ('detector.memory_limit', -1, 'found -1 (an int); allowed: a float from 0 to 1000000 [MB]'),
        ('camera.period', -0.1, 'found -0.1 (a float); allowed: a float from 0 to 604800 [s]'),
        (
            'detector.overflow',
            'drop',
            "found 'drop' (a string); allowed: one of 'drop_oldest', 'block'",
        ),
        ('detector.worker', 2, "unknown key; did you mean 'workers'?"),
        ('detector.workers.x', 2, "unknown key; did you mean 'workers'?"),
        ('detector.contexts.odometry', 'camera', 'unknown key; did you mean'),
        ('detector.xyz', 2, 'unknown key; known: concurrency, context, input, max_attempts, '),
        ('detectr.workers', 2, "'detectr' is not in stages; did you mean 'detector'?"),
        # tables
        (
            'detector.params',
            5,
            'found 5 (an int); allowed: a table of names, as in detector.params.name',
        ),
        (
            'detector.context',
            'camera',
            "found 'camera' (a string); allowed: a table of names, as in detector.context.name",
        ),
        # plugins
        ('camera.plugin', 'Camera', f"found 'Camera'; {PLUGIN_ALLOWED}"),
        ('camera.plugin', 'a.b.Camera', f"found 'a.b.Camera'; {PLUGIN_ALLOWED}"),
        ('camera.plugin', 'a:b:C', f"found 'a:b:C'; {PLUGIN_ALLOWED}"),
        ('camera.plugin', 'a-b:C', f"found 'a-b:C'; {PLUGIN_ALLOWED}"),
        ('camera.plugin', 'a:C\n', f"found 'a:C\\n'; {PLUGIN_ALLOWED}"),
        ('camera.plugin', '', f"found ''; {PLUGIN_ALLOWED}"),
        ('camera.plugin', 5, 'found 5 (an int); allowed: a string'),
        # inputs and contexts
        ('detector.input', [f'/t{i}' for i in range(101)], 'found 101; allowed: up to 100 inputs'),
        ('detector.input', 'camra', f"found 'camra'; {TOPIC_OR_STAGE}; did you mean 'camera'?"),
        ('detector.input', 'zzz', f"found 'zzz'; {TOPIC_OR_STAGE}; known: camera, detector"),
        ('detector.input', '/bad topic', f"found '/bad topic'; {TOPIC_OR_STAGE}"),
        ('detector.input', '/ends/', f"found '/ends/'; {TOPIC_OR_STAGE}"),
        ('detector.input', '', f"found ''; {TOPIC_OR_STAGE}"),
        (
            'detector.input',
            3,
            'found 3 (an int); allowed: a stage, an absolute topic, or a list of them',
        ),
        ('detector.input', [3], f'found 3; {TOPIC_OR_STAGE}'),
        ('detector.input', ['camera', 'camera'], "found 'camera' twice; allowed: each input once"),
        (
            'detector.context.odometry',
            'camra',
            f"found 'camra'; {TOPIC_OR_STAGE}; did you mean 'camera'?",
        ),
        ('detector.context.odometry', 1.5, f'found 1.5; {TOPIC_OR_STAGE}'),
        # stages
        ('stages', None, 'not given; allowed: a list of 1 to 100 stage names'),
        ('stages', [], 'found an empty list; allowed: a list of 1 to 100 stage names'),
        (
            'stages',
            'camera',
            "found 'camera' (a string); allowed: a list of 1 to 100 stage names",
        ),
        ('stages', 5, 'found 5 (an int); allowed: a list of 1 to 100 stage names'),
    ],
)
def test_a_wrong_value_is_told_by_key_found_and_allowed(key: str, value: Any, problem: str):
    """One line, which begins with the full key; nothing else is complained about."""
    (line,) = problems(minimal() | {key: value})
    key = repr(key)[1:-1] or "''"
    if problem.endswith((', ', 'mean')):
        assert line.startswith(f'{key}: {problem}')
    else:
        assert line == f'{key}: {problem}'


@pytest.mark.parametrize(
    ('name', 'problem'),
    [
        ('1st', f"found '1st'; {NAMES}"),
        ('a b', f"found 'a b'; {NAMES}"),
        ('a.b', f"found 'a.b'; {NAMES}"),
        ('a/b', f"found 'a/b'; {NAMES}"),
        ('_a', f"found '_a'; {NAMES}"),
        ('a\n', f"found 'a\\n'; {NAMES}"),
        ('', f"found ''; {NAMES}"),
        (7, f'found 7; {NAMES}'),
        ('a' * 101, f"found '{'a' * 101}'; allowed: a name of up to 100 characters"),
        ('manager', "found 'manager'; allowed: a name that is not taken already"),
        ('heartbeats', "found 'heartbeats'; allowed: a name that is not taken already"),
        ('spares', "found 'spares'; allowed: a name that is not taken already"),
        ('use_sim_time', "found 'use_sim_time'; allowed: a name that is not taken already"),
        ('camera', "found 'camera' twice; allowed: each name once"),
    ],
)
def test_a_stage_s_name_must_be_free_and_fit_the_graph(name: Any, problem: str):
    """It becomes a node's name."""
    parameters = minimal(stages=['camera', 'detector', name])
    assert problems(parameters) == [f'stages: {problem}']


@pytest.mark.parametrize(
    ('wrong', 'told'),
    [
        ({'heartbeat_timeout': 'soon'}, 'heartbeat_timeout'),
        ({'heartbeat_period': 'often', 'heartbeat_timeout': 0.06}, 'heartbeat_period'),
        ({'camera.plugin': 5}, 'camera.plugin'),
        ({'detector.input': 'camra', 'detector.overflow': 'block'}, 'detector.input'),
    ],
)
def test_a_wrong_value_is_compared_to_nothing(wrong: dict[str, Any], told: str):
    """One mistake is one problem, not a second one that follows from it."""
    (line,) = problems(minimal() | wrong)
    assert line.startswith(f'{told}: found ')


def test_a_huge_value_is_told_in_short():
    """A message is to be read."""
    (line,) = problems(minimal(detector__input='x' * 100_000))
    assert len(line) < 300
    topic = '/' + 'x' * 240
    (line,) = problems(minimal(detector__input=topic))
    assert line.endswith('allowed: a stage or an absolute topic of up to 240 characters')


def test_a_thousand_stages_are_refused_in_one_line():
    """Before each of them is looked at."""
    assert problems({'stages': [f's{i}' for i in range(1000)]}) == [
        'stages: found 1000; allowed: a list of 1 to 100 stage names'
    ]


def test_a_stage_without_a_plugin_is_told():
    """There is no class to do its work."""
    parameters = minimal()
    del parameters['camera.plugin']
    assert problems(parameters) == [f'camera.plugin: not given; {PLUGIN_ALLOWED}']


@pytest.mark.parametrize(
    ('inputs', 'found'),
    [
        ('/topic', 'block with input /topic'),
        (['camera', '/a', '/b'], 'block with input /a, /b'),
        ([], 'block with input none'),
    ],
)
def test_a_block_is_refused_where_an_input_is_no_stage(inputs: Any, found: str):
    """A camera driver on a topic cannot be made to wait."""
    parameters = minimal(detector__overflow='block', detector__input=inputs)
    assert problems(parameters) == [
        (
            f'detector.overflow: found {found}; '
            'allowed: drop_oldest, or block where every input is a stage'
        )
    ]


@pytest.mark.parametrize(
    ('links', 'members'),
    [
        ({'a': 'a'}, {'a'}),
        ({'a': 'b', 'b': 'a'}, {'a', 'b'}),
        ({'a': ['x', 'c'], 'b': 'a', 'c': 'b'}, {'a', 'b', 'c'}),
    ],
)
def test_a_cycle_is_told_with_its_stages(links: dict[str, Any], members: set[str]):
    """No stage may feed itself, not by way of others either."""
    parameters = {'stages': ['x', 'a', 'b', 'c']}
    parameters |= {f'{name}.plugin': 'm:C' for name in 'xabc'}
    (line,) = problems(parameters | {f'{name}.input': value for name, value in links.items()})
    key, _, rest = line.partition(': found a cycle, ')
    cycle, _, allowed = rest.partition('; ')
    assert allowed == 'allowed: stages that do not feed themselves'
    path = cycle.split(' -> ')
    assert set(path) == members
    assert path[0] == path[-1]
    assert key == f'{path[-1]}.input'


def test_a_context_may_close_a_circle():
    """It is broadcast, and nobody waits for it."""
    config = load(minimal(camera__context__last='detector'))
    assert config.stages['camera'].context == {'last': 'detector'}


def test_workers_may_stand_by():
    """Not fewer than none."""
    assert load(minimal(detector__standby=2)).stages['detector'].standby == 2
    assert problems(minimal(detector__standby=-1)) == [
        'detector.standby: found -1 (an int); allowed: an int from 0 to 100'
    ]


@pytest.mark.parametrize('journal', [False, True])
def test_the_journal_is_kept_or_not(journal: bool):
    """Either is a choice."""
    assert load(minimal(journal=journal)).journal is journal


def test_all_problems_are_told_at_once():
    """One start shows everything that is to be mended."""
    wrong = {
        'spares': -1,
        'heartbeat': 1.0,
        'camera.plugin': 'nonsense',
        'camera.workrs': 2,
        'detector.workers': 0,
        'detector.input': ['camra', '/fine'],
        'detector.context.odometry': 'nobody',
        'other.workers': 1,
    }
    found = problems(minimal() | wrong)
    assert sorted(line.split(':')[0] for line in found) == sorted(wrong)


# -- what only the classes can tell --------------------------------------------------------------

IMAGE = 'sensor_msgs/msg/Image'
CLOUD = 'sensor_msgs/msg/PointCloud2'
ODOMETRY = 'nav_msgs/msg/Odometry'
CAMERA = PluginDescription(TICK_TYPE, IMAGE)
DETECTOR = PluginDescription(IMAGE, CLOUD)


def link_problems(config: PipelineConfig, **plugins: PluginDescription) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        check_links(config, {'camera': CAMERA, 'detector': DETECTOR} | plugins)
    return caught.value.problems


def test_stages_that_fit_pass():
    """Types along every link agree; topics are anyone's affair."""
    config = load(minimal(detector__input=['camera', '/t'], camera__period=0.1))
    check_links(config, {'camera': CAMERA, 'detector': DETECTOR})


def test_a_source_has_no_input_and_takes_ticks():
    """Either alone does not make one."""
    config = load(minimal())
    camera, detector = config.stages['camera'], config.stages['detector']
    assert is_source(camera, CAMERA)
    assert not is_source(camera, DETECTOR)
    assert not is_source(detector, CAMERA)


def test_a_stage_that_remembers_has_nobody_who_stands_by():
    """Whoever took over would not remember."""
    detector = PluginDescription(IMAGE, CLOUD, remembers=True)
    check_links(load(minimal()), {'camera': CAMERA, 'detector': detector})
    [problem] = link_problems(load(minimal(detector__standby=1)), detector=detector)
    assert problem.startswith('detector.standby: found 1; allowed: 0, as ')


def test_two_stages_whose_types_do_not_fit_are_told():
    """Who gives what, and what is taken."""
    assert link_problems(load(minimal()), detector=PluginDescription(CLOUD, CLOUD)) == [
        (
            f'detector.input: found camera, whose output is {IMAGE}; '
            f'allowed: {CLOUD}, the input of stages:Detector'
        )
    ]


def test_what_is_wrong_with_a_class_is_told_behind_the_stage_s_name():
    """And nothing further is concluded from a class that is not known."""
    broken = PluginDescription(problems=['plugin: found stages:Camera; no module stages'])
    assert link_problems(load(minimal(camera__period=0.1)), camera=broken) == [
        'camera.plugin: found stages:Camera; no module stages'
    ]


def test_a_period_is_for_sources_only():
    """A stage that waits for items has no pace of its own."""
    assert link_problems(load(minimal(detector__period=0.5))) == [
        (
            'detector.period: found 0.5; allowed: 0.0, as only a source has a period '
            f'(no input, and input_type {TICK_TYPE})'
        )
    ]


STATUS = 'diagnostic_msgs/msg/DiagnosticStatus'


@pytest.mark.parametrize(
    ('further', 'key', 'found', 'wanted'),
    [
        (
            {'detector__input': '/rosout'},
            'detector.input',
            '/rosout, which has rcl_interfaces/msg/Log for ROS',
            IMAGE,
        ),
        (
            {'detector__input': '/space/quarantine'},
            'detector.input',
            f'/space/quarantine, which has {STATUS} for the manager',
            IMAGE,
        ),
        (
            {'detector__input': '/space/detector/output'},
            'detector.input',
            f'/space/detector/output, which has {CLOUD} for detector',
            IMAGE,
        ),
        (
            {'detector__input': '/t', 'detector__context__odometry': '/t'},
            'detector.context.odometry',
            f'/t, which has {IMAGE} for detector.input',
            ODOMETRY,
        ),
        (
            {'camera__input': '/t', 'detector__input': '/t'},
            'detector.input',
            f'/t, which has {TICK_TYPE} for camera.input',
            IMAGE,
        ),
    ],
)
def test_a_topic_has_but_one_type(further: dict[str, Any], key: str, found: str, wanted: str):
    """DDS would refuse the second, when the pipeline is half up."""
    detector = PluginDescription(IMAGE, CLOUD, {'odometry': ODOMETRY})
    config = load(minimal(**{'detector__context__odometry': '/o', **further}))
    with pytest.raises(ConfigurationError) as caught:
        check_links(config, {'camera': CAMERA, 'detector': detector}, '/space')
    assert caught.value.problems == [f'{key}: found {found}; allowed: a topic of {wanted}']


def test_a_long_name_must_fit_into_a_long_namespace():
    """ROS bounds the whole."""
    name = 'a' * 80
    config = load({'stages': [name], f'{name}.plugin': 'm:C'})
    check_links(config, {name: CAMERA}, '/' + 'b' * 100)
    with pytest.raises(ConfigurationError) as caught:
        check_links(config, {name: CAMERA}, '/' + 'b' * 130)
    (line,) = caught.value.problems
    assert 'allowed: a name of up to 72 characters in the namespace' in line


def test_a_context_that_the_class_has_not_is_told():
    """As a remark: it does no harm."""
    config = load(minimal(detector__context__odometry='/o'))
    camera = PluginDescription(TICK_TYPE, IMAGE)
    detector = PluginDescription(IMAGE, CLOUD)
    assert check_links(config, {'camera': camera, 'detector': detector}) == [
        'detector.context.odometry: has no effect; stages:Detector asks for no such context'
    ]


def test_a_context_under_a_name_close_to_the_right_one_is_told():
    """What is missing, and what was perhaps meant by it."""
    detector = PluginDescription(IMAGE, CLOUD, {'odometry': ODOMETRY})
    config = load(minimal(detector__context__odometri='/o'))
    assert link_problems(config, detector=detector) == [
        (
            'detector.context.odometry: not given; allowed: a stage or an absolute topic of '
            "nav_msgs/msg/Odometry; found 'odometri' instead"
        )
    ]


def test_a_context_that_the_class_needs_must_be_given():
    """With the type that is expected."""
    detector = PluginDescription(IMAGE, CLOUD, {'odometry': ODOMETRY})
    assert link_problems(load(minimal()), detector=detector) == [
        f'detector.context.odometry: not given; allowed: a stage or an absolute topic of {ODOMETRY}'
    ]


def test_a_context_of_another_type_is_told():
    """A stage's output must be what the class looks at."""
    detector = PluginDescription(IMAGE, CLOUD, {'odometry': ODOMETRY})
    config = load(minimal(detector__context__odometry='camera'))
    assert link_problems(config, detector=detector) == [
        f'detector.context.odometry: found camera, whose output is {IMAGE}; allowed: {ODOMETRY}'
    ]


def test_a_pipeline_without_a_source_cannot_end_by_itself():
    """Nothing could ever be exhausted."""
    config = load(minimal(exit_when_done=True))
    assert link_problems(config, camera=PluginDescription(IMAGE, IMAGE)) == [
        (
            'exit_when_done: found True without any source; '
            'allowed: False, as nothing could ever be exhausted'
        )
    ]
    check_links(config, {'camera': CAMERA, 'detector': DETECTOR})


def test_a_source_that_is_but_a_context_cannot_end_it_either():
    """A vehicle tells of itself for ever."""
    given = minimal(
        exit_when_done=True, vehicle__plugin='stages:Vehicle', detector__context__odometry='vehicle'
    )
    config = load(given | {'stages': ['camera', 'detector', 'vehicle']})
    plugins = {
        'vehicle': PluginDescription(TICK_TYPE, ODOMETRY),
        'detector': PluginDescription(IMAGE, CLOUD, {'odometry': ODOMETRY}),
    }
    problems = link_problems(config, camera=PluginDescription(IMAGE, IMAGE), **plugins)
    assert [each.split(':')[0] for each in problems] == ['exit_when_done']
    check_links(config, {'camera': CAMERA, **plugins})


def test_all_problems_of_the_links_are_told_at_once():
    """As with the configuration alone."""
    config = load(minimal(detector__period=0.5, detector__context__x='/o'))
    detector = PluginDescription(CLOUD, CLOUD, {'odometry': ODOMETRY})
    assert [line.split(':')[0] for line in link_problems(config, detector=detector)] == [
        'detector.input',
        'detector.period',
        'detector.context.odometry',
    ]
