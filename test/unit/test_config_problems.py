# SPDX-License-Identifier: Apache-2.0
"""Each problem of the parameters is one line: the key, what was found, and what is allowed."""

from __future__ import annotations

from typing import Any

import pytest
from support.minimal_configuration import minimal, problems

STAGES = 'allowed: a list of 1 to 100 stage names'
PARAMS = 'parameters of the class belong under detector.params'
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
        ('detector.xyz', 2, f'unknown key; {PARAMS}; known: accept_external, concurrency, '),
        # a parameter of the class, whose name is like a key's only by chance
        ('detector.prefix', 'x', f'unknown key; {PARAMS}; known: accept_external, concurrency, '),
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
        (
            'stages',
            None,
            f'not given; {STAGES}; is there a parameter file with a section /**/manager?',
        ),
        ('stages', [], 'found an empty list; allowed: a list of 1 to 100 stage names'),
        (
            'stages',
            'camera',
            "found 'camera' (a string); allowed: a list of 1 to 100 stage names",
        ),
        ('stages', 5, 'found 5 (an int); allowed: a list of 1 to 100 stage names'),
    ],
)
def test_an_invalid_value_is_reported_with_key_found_and_allowed(
    key: str, value: Any, problem: str
):
    """In one line that begins with the full key, and without further problems."""
    (line,) = problems(minimal() | {key: value})
    key = repr(key)[1:-1] or "''"
    if problem.endswith((', ', 'mean')):
        assert line.startswith(f'{key}: {problem}')
    else:
        assert line == f'{key}: {problem}'


def test_the_section_of_an_unlisted_stage_is_one_problem():
    section = {'detectr.plugin': 'a:B', 'detectr.workers': 2, 'detectr.params.gain': 1.0}
    assert problems(minimal() | section) == [
        "detectr.plugin: 'detectr' is not in stages; did you mean 'detector'?"
    ]


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
def test_a_stage_name_must_be_valid_and_free(name: Any, problem: str):
    """It becomes the name of a node."""
    parameters = minimal(stages=['camera', 'detector', name])
    assert problems(parameters) == [f'stages: {problem}']


@pytest.mark.parametrize(
    ('wrong', 'key'),
    [
        ({'heartbeat_timeout': 'soon'}, 'heartbeat_timeout'),
        ({'heartbeat_period': 'often', 'heartbeat_timeout': 0.06}, 'heartbeat_period'),
        ({'camera.plugin': 5}, 'camera.plugin'),
        ({'detector.input': 'camra', 'detector.overflow': 'block'}, 'detector.input'),
    ],
)
def test_an_invalid_value_is_not_compared_with_others(wrong: dict[str, Any], key: str):
    """One mistake is one problem, without a second one that follows from it."""
    (line,) = problems(minimal() | wrong)
    assert line.startswith(f'{key}: found ')


def test_a_huge_value_is_shortened_in_the_message():
    """A message is to be read."""
    (line,) = problems(minimal(detector__input='x' * 100_000))
    assert len(line) < 300
    topic = '/' + 'x' * 240
    (line,) = problems(minimal(detector__input=topic))
    assert line.endswith('allowed: a stage or an absolute topic of up to 240 characters')


def test_too_many_stages_are_rejected_in_one_line():
    """None of them is checked further."""
    assert problems({'stages': [f's{i}' for i in range(1000)]}) == [
        'stages: found 1000; allowed: a list of 1 to 100 stage names'
    ]


def test_a_stage_needs_a_plugin():
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
def test_block_is_rejected_if_an_input_is_a_topic(inputs: Any, found: str):
    """The publisher of a topic cannot be made to wait."""
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
def test_a_cycle_is_reported_with_its_stages(links: dict[str, Any], members: set[str]):
    """A stage may not feed itself, directly or through others."""
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


def test_all_problems_are_reported_at_once():
    """One start shows everything there is to fix."""
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
