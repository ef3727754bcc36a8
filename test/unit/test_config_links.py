# SPDX-License-Identifier: Apache-2.0
"""The configuration is checked against the stages' classes: types, sources, contexts, states."""

from __future__ import annotations

from typing import Any

import pytest
from support.minimal_configuration import minimal

from worker_pipeline.config import (
    TICK_TYPE,
    ConfigurationError,
    PipelineConfig,
    PluginDescription,
    check_links,
    is_source,
    load,
)

IMAGE = 'sensor_msgs/msg/Image'
CLOUD = 'sensor_msgs/msg/PointCloud2'
ODOMETRY = 'nav_msgs/msg/Odometry'
CAMERA = PluginDescription(TICK_TYPE, IMAGE)
DETECTOR = PluginDescription(IMAGE, CLOUD)


def link_problems(config: PipelineConfig, **plugins: PluginDescription) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        check_links(config, {'camera': CAMERA, 'detector': DETECTOR} | plugins)
    return caught.value.problems


def test_stages_whose_types_match_are_accepted():
    """A topic from outside may have any type."""
    config = load(minimal(detector__input=['camera', '/t'], camera__period=0.1))
    check_links(config, {'camera': CAMERA, 'detector': DETECTOR})


def test_a_source_has_no_input_and_takes_ticks():
    """Either alone does not make a source."""
    config = load(minimal())
    camera, detector = config.stages['camera'], config.stages['detector']
    assert is_source(camera, CAMERA)
    assert not is_source(camera, DETECTOR)
    assert not is_source(detector, CAMERA)


def test_a_stateful_stage_cannot_have_standbys():
    """A standby would not have its state."""
    detector = PluginDescription(IMAGE, CLOUD, remembers=True)
    check_links(load(minimal()), {'camera': CAMERA, 'detector': detector})
    [problem] = link_problems(load(minimal(detector__standby=1)), detector=detector)
    assert problem.startswith('detector.standby: found 1; allowed: 0, as ')


def test_linked_stages_whose_types_differ_are_reported():
    """With both types."""
    assert link_problems(load(minimal()), detector=PluginDescription(CLOUD, CLOUD)) == [
        (
            f'detector.input: found camera, whose output is {IMAGE}; '
            f'allowed: {CLOUD}, the input of stages:Detector'
        )
    ]


def test_problems_of_a_class_are_reported_under_the_stage():
    """Nothing else is checked about this class."""
    broken = PluginDescription(problems=['plugin: found stages:Camera; no module stages'])
    assert link_problems(load(minimal(camera__period=0.1)), camera=broken) == [
        'camera.plugin: found stages:Camera; no module stages'
    ]


def test_a_period_is_for_sources_only():
    """Other stages wait for items."""
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
def test_a_topic_has_only_one_type(further: dict[str, Any], key: str, found: str, wanted: str):
    """DDS would reject the second one after the pipeline has started."""
    detector = PluginDescription(IMAGE, CLOUD, {'odometry': ODOMETRY})
    config = load(minimal(**{'detector__context__odometry': '/o', **further}))
    with pytest.raises(ConfigurationError) as caught:
        check_links(config, {'camera': CAMERA, 'detector': detector}, '/space')
    assert caught.value.problems == [f'{key}: found {found}; allowed: a topic of {wanted}']


def test_a_stage_name_must_fit_into_the_namespace():
    """ROS limits the length of the whole name."""
    name = 'a' * 80
    config = load({'stages': [name], f'{name}.plugin': 'm:C'})
    check_links(config, {name: CAMERA}, '/' + 'b' * 100)
    with pytest.raises(ConfigurationError) as caught:
        check_links(config, {name: CAMERA}, '/' + 'b' * 130)
    (line,) = caught.value.problems
    assert 'allowed: a name of up to 72 characters in the namespace' in line


def test_an_unknown_context_is_a_warning():
    """It has no effect."""
    config = load(minimal(detector__context__odometry='/o'))
    camera = PluginDescription(TICK_TYPE, IMAGE)
    detector = PluginDescription(IMAGE, CLOUD)
    assert check_links(config, {'camera': camera, 'detector': detector}) == [
        'detector.context.odometry: has no effect; stages:Detector has no such context'
    ]


@pytest.mark.parametrize(('workers', 'is_meant'), [(1, False), (2, False), (2, True)])
def test_several_workers_that_remember_are_warned_of(workers: int, is_meant: bool):
    """Each slot has a state of its own; unless the class says that it is meant."""
    config = load(minimal(detector__workers=workers))
    camera = PluginDescription(TICK_TYPE, IMAGE)
    detector = PluginDescription(IMAGE, CLOUD, remembers=True, separate_states=is_meant)
    warnings = check_links(config, {'camera': camera, 'detector': detector})
    if workers == 1 or is_meant:
        assert warnings == []
    else:
        (warning,) = warnings
        assert warning.startswith(
            'detector.workers: found 2, and stages:Detector saves a state: each slot has a state '
        )


def test_a_missing_context_is_reported_with_a_similar_name():
    """If an unknown context was given under such a name."""
    detector = PluginDescription(IMAGE, CLOUD, {'odometry': ODOMETRY})
    config = load(minimal(detector__context__odometri='/o'))
    assert link_problems(config, detector=detector) == [
        (
            'detector.context.odometry: not given; allowed: a stage or an absolute topic of '
            "nav_msgs/msg/Odometry; found 'odometri' instead"
        )
    ]


def test_every_context_of_the_class_must_be_given():
    """The message has its type."""
    detector = PluginDescription(IMAGE, CLOUD, {'odometry': ODOMETRY})
    assert link_problems(load(minimal()), detector=detector) == [
        f'detector.context.odometry: not given; allowed: a stage or an absolute topic of {ODOMETRY}'
    ]


def test_a_context_of_another_type_is_reported():
    """With both types."""
    detector = PluginDescription(IMAGE, CLOUD, {'odometry': ODOMETRY})
    config = load(minimal(detector__context__odometry='camera'))
    assert link_problems(config, detector=detector) == [
        f'detector.context.odometry: found camera, whose output is {IMAGE}; allowed: {ODOMETRY}'
    ]


def test_exit_when_done_needs_a_source():
    """Otherwise nothing could ever be exhausted."""
    config = load(minimal(exit_when_done=True))
    assert link_problems(config, camera=PluginDescription(IMAGE, IMAGE)) == [
        (
            'exit_when_done: found True without any source; '
            'allowed: False, as nothing could ever be exhausted'
        )
    ]
    check_links(config, {'camera': CAMERA, 'detector': DETECTOR})


def test_exit_when_done_needs_a_source_that_is_an_input():
    """A source that is only a context never ends."""
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


def test_all_problems_of_links_are_reported_at_once():
    """Like those of the configuration alone."""
    config = load(minimal(detector__period=0.5, detector__context__x='/o'))
    detector = PluginDescription(CLOUD, CLOUD, {'odometry': ODOMETRY})
    assert [line.split(':')[0] for line in link_problems(config, detector=detector)] == [
        'detector.input',
        'detector.period',
        'detector.context.odometry',
    ]


def test_a_class_that_cannot_be_checked_for_now_is_no_mistake():
    """Unless something else is one; both are reported."""
    killed = PluginDescription(problems=['plugin: was killed'], may_pass=True)
    wrong = PluginDescription(problems=['plugin: is wrong'])
    for detector, camera, may_pass, problems in [
        (killed, CAMERA, True, ['detector.plugin: was killed']),
        (wrong, CAMERA, False, ['detector.plugin: is wrong']),
        (killed, wrong, False, ['camera.plugin: is wrong', 'detector.plugin: was killed']),
    ]:
        with pytest.raises(ConfigurationError) as caught:
            check_links(load(minimal()), {'camera': camera, 'detector': detector})
        assert (caught.value.may_pass, caught.value.problems) == (may_pass, problems)


def test_an_optional_context_may_be_left_out_or_given():
    """Of the right type if it is."""
    wants = PluginDescription(
        IMAGE, CLOUD, contexts={'odometry': ODOMETRY}, optional_contexts=('odometry',)
    )
    check_links(load(minimal()), {'camera': CAMERA, 'detector': wants})
    given = load(minimal(detector__context__odometry='/o'))
    assert not check_links(given, {'camera': CAMERA, 'detector': wants})
    wrong = load(minimal(detector__context__odometry='camera'))
    (problem,) = link_problems(wrong, detector=wants)
    assert problem.startswith('detector.context.odometry: found camera, whose output is')
