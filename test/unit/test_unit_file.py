# SPDX-License-Identifier: Apache-2.0
"""The systemd unit matches the code: the manager's exit codes and times."""

from __future__ import annotations

import re
from pathlib import Path

from worker_pipeline.config import PIPELINE_KEYS, STAGE_KEYS
from worker_pipeline.exit_codes import EXIT_FAILED, PERMANENT
from worker_pipeline.ros import arguments as ros_arguments
from worker_pipeline.ros.dds import RANGE

UNIT = Path(__file__).parents[2] / 'deploy' / 'worker_pipeline@.service'
UNITS = {'': 1.0, 's': 1.0, 'ms': 1e-3, 'min': 60.0}


def values(key: str) -> list[str]:
    """Return the value of a key in the unit."""
    text = UNIT.read_text().replace('\\\n', ' ')
    return re.findall(rf'^{key}=(.*)$', text, re.MULTILINE)


def value(key: str) -> str:
    """The one value of a key."""
    (only,) = values(key)
    return only


def seconds(key: str) -> float:
    """A time, s."""
    number, unit = re.fullmatch(r'(\d+)([a-z]*)', value(key)).groups()
    return float(number) * UNITS[unit]


def default(keys, name: str) -> float:
    """A key's default in the configuration."""
    return float(keys[name].default)


def test_what_starting_again_cannot_mend_is_not_started_again():
    """A bad configuration, a second manager; all else is."""
    assert value('Restart') == 'on-failure'
    assert {int(each) for each in value('RestartPreventExitStatus').split()} == PERMANENT
    # A workspace may be on a disk that is mounted later.
    assert f'exit {EXIT_FAILED};' in value('ExecStart')


def test_the_manager_is_given_the_time_that_it_takes():
    """To stop: a transition that is under way, then the drain; to start: both of its steps."""
    assert seconds('TimeoutStopSec') > 2 * default(PIPELINE_KEYS, 'shutdown_timeout') + 5.0
    assert seconds('TimeoutStartSec') > 2 * default(STAGE_KEYS, 'startup_timeout') + 5.0


def test_the_next_manager_finds_the_workers():
    """They are left alone, and wait longer than it takes until one is there."""
    assert value('KillMode') == 'process'
    gone = seconds('TimeoutAbortSec') + seconds('RestartSec')
    assert gone + 10.0 < default(PIPELINE_KEYS, 'orphan_timeout')


def test_the_arguments_are_those_that_workers_are_given_too():
    """Or each of them would write a log file."""
    (flag,) = [word for word in value('ExecStart').split() if word.endswith('-logs')]
    assert flag in ros_arguments.PROCESS_FLAGS
    assert any(each == f'{RANGE}=LOCALHOST' for each in values('Environment'))
