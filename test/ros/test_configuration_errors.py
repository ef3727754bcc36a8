# SPDX-License-Identifier: Apache-2.0
"""Bad configuration starts nothing: one clear message, exit code 2, no process left."""

from __future__ import annotations

import signal
from typing import Any, NamedTuple

import pytest
import yaml
from support.configuring import stage
from support.manager_process import ManagerProcess

from worker_pipeline.exit_codes import EXIT_FAILED
from worker_pipeline.testing import wait_for


class Case(NamedTuple):
    """Stages with a problem, further keys of the pipeline, and what is reported."""

    stages: dict[str, Any]
    messages: list[str]
    keys: dict[str, Any] = {}


# Found when the parameters are read.
READ = {
    'a worker count of zero': Case(
        {'none': stage('Echo', workers=0)},
        ['none.workers: found 0 (an int); allowed: an int from 1 to 100'],
    ),
    'a negative worker count': Case(
        {'negative': stage('Echo', workers=-2)},
        ['negative.workers: found -2 (an int); allowed: an int from 1 to 100'],
    ),
    'unknown keys, each with the nearest known one': Case(
        {'unknown': stage('Echo', worker=2)},
        [
            "heartbeat_perod: unknown key; did you mean 'heartbeat_period'?",
            "unknown.worker: unknown key; did you mean 'workers'?",
        ],
        {'heartbeat_perod': 0.1},
    ),
    'a cycle between stages': Case(
        {
            'a': stage('Echo', input='c'),
            'b': stage('Echo', input='a'),
            'c': stage('Echo', input='b'),
        },
        ['found a cycle', 'allowed: stages that do not feed themselves'],
    ),
    'block where nothing can be held back': Case(
        {'blocks': stage('Echo', input='/camera', overflow='block')},
        ['blocks.overflow: found block with input /camera; allowed: drop_oldest, or block where'],
    ),
    'an empty list, which ROS passes without a value and without a type': Case(
        {'empty': stage('Echo', input=[])},
        ['  empty.input: found None (nothing); allowed: a stage, an absolute'],
    ),
    'several problems of several stages': Case(
        {
            'one': stage('Echo', workers=0, queue_size=0),
            'two': {'workers': 'many', 'input': 'on'},
        },
        [
            *('  spares: ', '  one.workers: ', '  one.queue_size: '),
            *('  two.workers: ', '  two.input: ', '  two.plugin: '),
        ],
        {'spares': -1},
    ),
}
# Found when the classes are imported and compared. Some hang or crash on import.
IMPORTED = {
    'messages without a header': Case(
        {'text': stage('NoHeader')},
        [
            (
                'text.plugin: input_type of support.stages:NoHeader is std_msgs/msg/String; '
                'allowed: std_msgs/msg/Header, or a message whose first field is one named header'
            )
        ],
    ),
    'two stages whose types do not fit': Case(
        {'first': stage('OtherOutput'), 'second': stage('Echo', input='first')},
        [
            (
                'second.input: found first, whose output is sensor_msgs/msg/TimeReference; '
                'allowed: std_msgs/msg/Header, the input of support.stages:Echo'
            )
        ],
    ),
    'a module that is not there': Case(
        {'nowhere': {'plugin': 'no_such_module:Echo'}},
        [
            (
                "nowhere.plugin: found 'no_such_module:Echo'; "
                "no module 'no_such_module' on the Python path"
            )
        ],
    ),
    'a class that is not there': Case(
        {'ecco': stage('Ecco')},
        ["ecco.plugin: found 'support.stages:Ecco'; support.stages has no 'Ecco'"],
    ),
    'a class that is no stage': Case(
        {'other': stage('NotAStage')},
        [
            (
                "other.plugin: found 'support.stages:NotAStage'; "
                'allowed: a subclass of worker_pipeline.Stage'
            )
        ],
    ),
    'a module whose import fails': Case(
        {'broken': {'plugin': 'support.broken_module:Echo'}},
        ["found 'support.broken_module:Echo'; importing it failed", 'ZeroDivisionError'],
    ),
    'a module whose import ends the process': Case(
        {'deadly': {'plugin': 'support.deadly_module:Echo'}},
        ["found 'support.deadly_module:Echo'; importing it ended the process: exit code 9"],
    ),
    'a parameter of the stage that it does not have': Case(
        {'misspelt': stage('Echo', params={'gian': 2.0})},
        ["misspelt.params.gian: unknown parameter; did you mean 'gain'?"],
    ),
    'a parameter of the stage of another type': Case(
        {'wrong_type': stage('Echo', params={'gain': 'loud'})},
        ["wrong_type.params.gain: found 'loud' (a string); allowed: a float"],
    ),
    'a context that is not given': Case(
        {'look': stage('WithContext')},
        [
            (
                'look.context.reference: not given; '
                'allowed: a stage or an absolute topic of std_msgs/msg/Header'
            )
        ],
    ),
}
BAD_PLUGINS = {
    'hangs': 'importing it took longer than startup_timeout, 1.5 s',
    'interrupts': 'importing it failed: KeyboardInterrupt (',
    'exits': 'importing it failed: SystemExit: usage: exits.py FILE (',
    'prints': r'importing it failed: ImportError: first line second line \x07third (',
    'spawns': "support.bad_plugins.spawns has no 'Echo'",
    '__main__': 'importing it failed: SystemExit: 5 (',
}


def importing(name: str) -> Case:
    """Return a stage of a module in ``support.bad_plugins``."""
    plugin = f'support.bad_plugins.{name}:Echo'
    # The others are to fail by themselves, however slow the machine is.
    timeout = 1.5 if name == 'hangs' else 60.0
    return Case(
        {f'a{name}': {'plugin': plugin, 'startup_timeout': timeout}},
        [f"  a{name}.plugin: found '{plugin}'; {BAD_PLUGINS[name]}"],
    )


STARTS = {
    'problems of reading': READ,
    'problems of classes': IMPORTED | {name: importing(name) for name in BAD_PLUGINS},
    'an end that could never come': {
        'the end': Case(
            {'echo': stage('Echo')},
            ['exit_when_done: found True without any source'],
            {'exit_when_done': True},
        )
    },
}


@pytest.mark.parametrize('cases', STARTS.values(), ids=STARTS)
def test_bad_configuration_is_reported_and_nothing_is_started(start, cases):
    """One start shows all that is to be mended: keys, values and allowed ones; exit code 2."""
    stages = {name: keys for case in cases.values() for name, keys in case.stages.items()}
    keys = {name: value for case in cases.values() for name, value in case.keys.items()}
    manager = start({'stages': [*stages], **keys, **stages})
    assert manager.wait() == 2, manager.output
    for name, case in cases.items():
        for text in case.messages:
            assert text in manager.output, name
    assert 'nothing was started' in manager.output
    assert 'Traceback' not in manager.output
    assert manager.relatives() == []


def test_imports_that_are_killed_or_slow_end_in_a_code_that_is_restarted(start):
    """No value is wrong: the kernel may have been short of memory, the disk slow."""
    plugins = {name: f'support.bad_plugins.{name}:X' for name in ('killed', 'hangs')}
    stages = {name: {'plugin': each, 'startup_timeout': 1.5} for name, each in plugins.items()}
    manager = start({'stages': [*stages], **stages})
    assert manager.wait() == EXIT_FAILED, manager.output
    assert 'cannot check the configuration for now, 2 problems' in manager.output
    assert 'importing it ended the process: killed by SIGKILL' in manager.output
    assert 'importing it took longer than startup_timeout, 1.5 s' in manager.output
    assert manager.relatives() == []


def test_no_stages_at_all_are_reported(start):
    manager = start({'heartbeat_period': 0.1})
    assert manager.wait() == 2, manager.output
    assert 'stages: not given' in manager.output
    assert 'Traceback' not in manager.output


def test_a_hanging_plugin_does_not_delay_a_stop(start):
    """No worker was started yet."""
    manager = start(
        {
            'stages': ['one'],
            'one': {'plugin': 'support.bad_plugins.hangs:X', 'startup_timeout': 300.0},
        }
    )
    # The manager, the fork server, and the one that imports.
    wait_for(lambda: len(manager.relatives()) >= 3, 'the process that imports the plugin')
    manager.signal(signal.SIGINT)
    assert manager.wait() == 0
    assert manager.output == ''
    assert manager.relatives() == []


def test_a_manager_may_have_another_name_but_not_that_of_a_stage(domain, tmp_path):
    """On several machines each has a name of its own."""
    text = yaml.safe_dump({'/**': {'ros__parameters': {'stages': ['echo'], 'echo': stage('Echo')}}})
    manager = ManagerProcess(tmp_path, text, domain, ['--remap', '__node:=echo'])
    try:
        assert manager.wait() == 2
        message = "stages: found 'echo', this manager's own name; allowed: any other"
        assert message in manager.output
    finally:
        manager.close()


def test_parameters_for_the_node_of_a_stage_or_a_worker_are_refused(domain, tmp_path):
    """ROS would ignore them in silence."""
    manager = {'stages': ['echo'], 'use_sim_time': True, 'echo': stage('Echo')}
    sections = {
        '/**': {'ros__parameters': manager},
        '/airside/echo': {'ros__parameters': {'use_sim_time': False}},
        'airside': {'echo': {'worker_0': {'ros__parameters': {'gain': 2.0}}}},
    }
    process = ManagerProcess(tmp_path, yaml.safe_dump(sections), domain)
    try:
        assert process.wait() == 2
        assert "found use_sim_time for the node '/airside/echo', which takes no" in process.output
        assert "found gain for the node '/airside/echo/worker_0', which takes" in process.output
        assert '2 problems; nothing was started' in process.output
    finally:
        process.close()


def test_a_parameter_file_that_is_not_yaml_is_reported(start):
    """It is a bad configuration too."""
    manager = start({'stages': ['echo'], 'echo': {'mixed': [1, 'two']}})
    assert manager.wait() == 2
    assert 'params file' in manager.output
    assert 'Traceback' not in manager.output
