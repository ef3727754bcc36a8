"""Bad configuration starts nothing: one clear message, exit code 2, no process left."""

from __future__ import annotations

import signal
from typing import Any

import pytest
import yaml
from support.configuring import stage
from support.managing import ManagerProcess

from worker_pipeline.testing import wait_for

CASES = {
    'a worker count of zero': (
        {'stages': ['echo'], 'echo': stage('Echo', workers=0)},
        ['echo.workers: found 0 (an int); allowed: an int from 1 to 100'],
    ),
    'a negative worker count': (
        {'stages': ['echo'], 'echo': stage('Echo', workers=-2)},
        ['echo.workers: found -2 (an int); allowed: an int from 1 to 100'],
    ),
    'unknown keys, each with the nearest known one': (
        {'stages': ['echo'], 'heartbeat_perod': 0.1, 'echo': stage('Echo', worker=2)},
        [
            "heartbeat_perod: unknown key; did you mean 'heartbeat_period'?",
            "echo.worker: unknown key; did you mean 'workers'?",
        ],
    ),
    'a cycle between stages': (
        {
            'stages': ['a', 'b', 'c'],
            'a': stage('Echo', input='c'),
            'b': stage('Echo', input='a'),
            'c': stage('Echo', input='b'),
        },
        ['found a cycle', 'allowed: stages that do not feed themselves'],
    ),
    'messages without a header': (
        {'stages': ['text'], 'text': stage('NoHeader')},
        [
            (
                'text.plugin: input_type of support.stages:NoHeader is std_msgs/msg/String; '
                'allowed: std_msgs/msg/Header, or a message whose first field is one named header'
            )
        ],
    ),
    'two stages whose types do not fit': (
        {
            'stages': ['first', 'second'],
            'first': stage('OtherOutput'),
            'second': stage('Echo', input='first'),
        },
        [
            (
                'second.input: found first, whose output is sensor_msgs/msg/TimeReference; '
                'allowed: std_msgs/msg/Header, the input of support.stages:Echo'
            )
        ],
    ),
    'a module that is not there': (
        {'stages': ['echo'], 'echo': {'plugin': 'no_such_module:Echo'}},
        ["echo.plugin: found 'no_such_module:Echo'; no module 'no_such_module' on the Python path"],
    ),
    'a class that is not there': (
        {'stages': ['echo'], 'echo': stage('Ecco')},
        ["echo.plugin: found 'support.stages:Ecco'; support.stages has no 'Ecco'"],
    ),
    'a class that is no stage': (
        {'stages': ['echo'], 'echo': stage('NotAStage')},
        [
            (
                "echo.plugin: found 'support.stages:NotAStage'; "
                'allowed: a subclass of worker_pipeline.Stage'
            )
        ],
    ),
    'a module whose import fails': (
        {'stages': ['echo'], 'echo': {'plugin': 'support.broken_module:Echo'}},
        ["found 'support.broken_module:Echo'; importing it failed", 'ZeroDivisionError'],
    ),
    'a module whose import ends the process': (
        {'stages': ['echo'], 'echo': {'plugin': 'support.deadly_module:Echo'}},
        ["found 'support.deadly_module:Echo'; importing it ended the process: exit code 9"],
    ),
    'a parameter of the stage that it does not have': (
        {'stages': ['echo'], 'echo': stage('Echo', params={'gian': 2.0})},
        ["echo.params.gian: unknown parameter; did you mean 'gain'?"],
    ),
    'a parameter of the stage of another type': (
        {'stages': ['echo'], 'echo': stage('Echo', params={'gain': 'loud'})},
        ["echo.params.gain: found 'loud' (a string); allowed: a float"],
    ),
    'a context that is not given': (
        {'stages': ['look'], 'look': stage('WithContext')},
        [
            (
                'look.context.reference: not given; '
                'allowed: a stage or an absolute topic of std_msgs/msg/Header'
            )
        ],
    ),
    'an end that could never come': (
        {'stages': ['echo'], 'exit_when_done': True, 'echo': stage('Echo')},
        ['exit_when_done: found True without any source'],
    ),
    'block where nothing can be held back': (
        {'stages': ['echo'], 'echo': stage('Echo', input='/camera', overflow='block')},
        ['echo.overflow: found block with input /camera; allowed: drop_oldest, or block where'],
    ),
    'no stages at all': ({'heartbeat_period': 0.1}, ['stages: not given']),
}


BAD_PLUGINS = {
    'hangs': 'importing it took longer than startup_timeout, 1.5 s',
    'interrupts': 'importing it failed: KeyboardInterrupt (',
    'exits': 'importing it failed: SystemExit: usage: exits.py FILE (',
    'prints': r'importing it failed: ImportError: first line second line \x07third (',
    'spawns': "support.bad_plugins.spawns has no 'Echo'",
    '__main__': 'importing it failed: SystemExit: 5 (',
}


@pytest.mark.parametrize('case', CASES)
def test_bad_configuration_is_told_and_nothing_started(start, case):
    """The message names the key, what was found and what is allowed; the exit code is 2."""
    parameters, told = CASES[case]
    manager = start(parameters)
    assert manager.wait() == 2, manager.output
    for text in told:
        assert text in manager.output
    assert 'nothing was started' in manager.output
    assert 'Traceback' not in manager.output
    assert manager.relatives() == []


def test_bad_plugins_are_told_all_together(start):
    """Whatever they do while they are imported; and what they have started is ended."""
    parameters: dict[str, Any] = {'stages': [f'a{name}' for name in BAD_PLUGINS]}
    for name in BAD_PLUGINS:
        plugin = f'support.bad_plugins.{name}:Echo'
        parameters[f'a{name}'] = {'plugin': plugin, 'startup_timeout': 30.0}
    parameters['ahangs']['startup_timeout'] = 1.5
    manager = start(parameters)
    assert manager.wait() == 2, manager.output
    for name, told in BAD_PLUGINS.items():
        assert (
            f"  a{name}.plugin: found 'support.bad_plugins.{name}:Echo'; {told}" in manager.output
        )
    assert 'Traceback' not in manager.output
    assert manager.relatives() == []


def test_a_plugin_that_hangs_does_not_hold_up_a_stop(start):
    """Nothing has been started, so nothing is to be waited for."""
    manager = start(
        {
            'stages': ['one'],
            'one': {'plugin': 'support.bad_plugins.hangs:X', 'startup_timeout': 60.0},
        }
    )
    # The manager, the fork server, its tracker of resources, and the one that imports.
    wait_for(lambda: len(manager.relatives()) >= 4, 'the process that imports the plugin')
    manager.signal(signal.SIGINT)
    assert manager.wait(5.0) == 0
    assert manager.output == ''
    assert manager.relatives() == []


def test_an_empty_list_is_told(start):
    """ROS gives it without a value, and without a type."""
    manager = start({'stages': ['echo'], 'echo': stage('Echo', input=[])})
    assert manager.wait() == 2
    assert '  echo.input: found None (nothing); allowed: a stage, an absolute' in manager.output
    assert 'Traceback' not in manager.output


def test_a_manager_may_have_another_name_but_not_a_stage_s(domain, tmp_path):
    """On each of several machines one of its own."""
    text = yaml.safe_dump({'/**': {'ros__parameters': {'stages': ['echo'], 'echo': stage('Echo')}}})
    manager = ManagerProcess(tmp_path, text, domain, ['--remap', '__node:=echo'])
    try:
        assert manager.wait() == 2
        told = "stages: found 'echo', this manager's own name; allowed: any other"
        assert told in manager.output
    finally:
        manager.close()


def test_every_problem_is_told_at_once(start):
    """One start shows all that is to be mended."""
    manager = start(
        {
            'stages': ['one', 'two'],
            'spares': -1,
            'one': stage('Echo', workers=0, queue_size=0),
            'two': {'workers': 'many', 'input': 'on'},
        }
    )
    assert manager.wait() == 2
    for key in (
        'spares',
        'one.workers',
        'one.queue_size',
        'two.workers',
        'two.input',
        'two.plugin',
    ):
        assert f'  {key}: ' in manager.output


def test_a_parameter_file_that_is_no_yaml_is_told(start):
    """What ROS cannot read is a bad configuration too."""
    manager = start({'stages': ['echo'], 'echo': {'mixed': [1, 'two']}})
    assert manager.wait() == 2
    assert 'params file' in manager.output
    assert 'Traceback' not in manager.output
