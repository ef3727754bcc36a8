# SPDX-License-Identifier: Apache-2.0
"""Mistakes in the environment are named before anything is started."""

from __future__ import annotations

import errno
import os
import pwd
import tempfile
from pathlib import Path
from unittest import mock

import pytest

from worker_pipeline import cli
from worker_pipeline.environment import environment_problems, report_bad_environment

DOMAINS = 'allowed: a number from 0 to 232, without leading zeros'
RANGES = 'allowed: LOCALHOST, SUBNET, OFF, SYSTEM_DEFAULT'


@pytest.fixture
def home(tmp_path):
    return {'HOME': str(tmp_path)}


@pytest.mark.parametrize('value', ['0', '1', '101', '232', '', ' 1', '7\n', '\t'])
def test_a_domain_is_a_number(home, value: str):
    """Without blanks from then on; an empty one is that of ROS."""
    environment = home | {'ROS_DOMAIN_ID': value}
    assert environment_problems(environment) == []
    assert environment.get('ROS_DOMAIN_ID', '') == value.strip()


@pytest.mark.parametrize(
    'value', ['233', '1000', '-1', '1x', '1.0', '0x10', '010', '00', '²', '1 2']
)
def test_any_other_domain_is_rejected(home, value: str):
    """ROS would take some of them for other numbers."""
    problems = environment_problems(home | {'ROS_DOMAIN_ID': value})
    assert problems == [f'ROS_DOMAIN_ID: found {value!r}; {DOMAINS}']


@pytest.mark.parametrize('value', ['LOCALHOST', 'SUBNET', 'OFF', 'SYSTEM_DEFAULT', ' SUBNET', ''])
def test_a_discovery_range_is_one_of_those_of_ros(home, value: str):
    """An empty one is none, as the whole network would be a surprise."""
    environment = home | {'ROS_AUTOMATIC_DISCOVERY_RANGE': value}
    assert environment_problems(environment) == []
    assert environment.get('ROS_AUTOMATIC_DISCOVERY_RANGE', '') == value.strip()


@pytest.mark.parametrize(
    ('value', 'hint'),
    [
        ('LOCALHSOT', "; did you mean 'LOCALHOST'?"),
        ('subnet', "; did you mean 'SUBNET'?"),
        ('0', ''),
    ],
)
def test_a_misspelt_discovery_range_is_rejected(home, value: str, hint: str):
    """ROS would fall back to another one."""
    problems = environment_problems(home | {'ROS_AUTOMATIC_DISCOVERY_RANGE': value})
    assert problems == [f'ROS_AUTOMATIC_DISCOVERY_RANGE: found {value!r}; {RANGES}{hint}']


def test_a_middleware_has_to_be_installed(home, tmp_path):
    """As a wheel, or in a sourced workspace. Otherwise the import of rclpy ends the process."""
    name = 'rmw_of_nobody_cpp'
    assert environment_problems(home | {'RMW_IMPLEMENTATION': ''}) == []
    for found in (name, 'no name', '../x', 'rmw.x'):
        (problem,) = environment_problems(home | {'RMW_IMPLEMENTATION': found})
        assert problem.startswith(f'RMW_IMPLEMENTATION: found {found!r}, which is not installed')
    index = tmp_path / 'share' / 'ament_index' / 'resource_index' / 'packages'
    index.mkdir(parents=True)
    (index / name).touch()
    sourced = {'RMW_IMPLEMENTATION': name, 'AMENT_PREFIX_PATH': f'/nowhere:{tmp_path}'}
    assert environment_problems(home | sourced) == []


@pytest.mark.parametrize(
    'name', ['FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE']
)
def test_a_profile_has_to_be_there(home, tmp_path, name: str):
    """Fast DDS would use its defaults instead."""
    path = tmp_path / 'profile.xml'
    problem = f'{name}: found {str(path)!r}'
    (found,) = environment_problems(home | {name: str(path)})
    assert found.startswith(f'{problem}: No such file or directory; allowed: a file of Fast DDS')
    path.write_text('<dds><profiles>')
    (found,) = environment_problems(home | {name: str(path)})
    assert found.startswith(f'{problem}, which is no XML: ')
    path.write_text('<dds/>')
    assert environment_problems(home | {name: str(path)}) == []
    assert environment_problems(home | {name: ''}) == []


@pytest.mark.parametrize(
    ('name', 'below'), [('ROS_LOG_DIR', ''), ('ROS_HOME', 'log'), ('HOME', '.ros/log')]
)
def test_the_log_folder_has_to_be_writable(home, tmp_path, name: str, below: str):
    """The variable that it comes from is named; without log files it need not be."""
    file = tmp_path / 'file'
    file.touch()
    (problem,) = environment_problems(home | {name: f'{file}/x'})
    assert problem.startswith(f'{name}: found {f"{file}/x"!r}: Not a directory; allowed: a folder')
    assert environment_problems(home | {name: f'{file}/x'}, ['--disable-external-lib-logs']) == []
    new = tmp_path / 'new'
    assert environment_problems(home | {name: str(new)}) == []
    assert (new / below).is_dir()


def mounted_read_only(monkeypatch) -> None:
    monkeypatch.setattr(os, 'access', lambda *_: False)
    flags = mock.Mock(f_flag=os.ST_RDONLY)
    monkeypatch.setattr(os, 'statvfs', lambda _: flags)


def full_disk(monkeypatch) -> None:
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, 'mkdir', full)


@pytest.mark.parametrize(
    ('disk', 'text'),
    [(mounted_read_only, 'Read-only file system'), (full_disk, 'No space left on device')],
)
def test_a_disk_that_is_full_or_read_only_may_pass(disk, text, monkeypatch, capsys, tmp_path):
    """The exit code is one that is restarted; beside a mistake it is not."""
    monkeypatch.setenv('ROS_LOG_DIR', str(tmp_path))
    disk(monkeypatch)
    assert report_bad_environment('manager') == 1
    assert f': {text}; allowed: a folder' in capsys.readouterr().err
    monkeypatch.setenv('ROS_DOMAIN_ID', 'abc')
    assert report_bad_environment('manager') == 2


def test_a_log_folder_of_another_user_stays_one(monkeypatch, tmp_path):
    """It is a mistake."""
    monkeypatch.setenv('ROS_LOG_DIR', str(tmp_path))
    monkeypatch.setattr(os, 'access', lambda *_: False)
    assert report_bad_environment('manager') == 2


def test_a_home_is_that_of_the_user_if_it_is_not_set(monkeypatch):
    """As in a systemd service."""
    environment: dict[str, str] = {}
    environment_problems(environment)
    assert environment['HOME'] == pwd.getpwuid(os.getuid()).pw_dir

    def unknown(_):
        raise KeyError

    monkeypatch.setattr(pwd, 'getpwuid', unknown)
    (problem,) = environment_problems({'HOME': ''})
    assert problem.startswith('HOME: not set; allowed: a folder that can be written')


def test_a_missing_temporary_folder_is_no_problem_while_there_is_another(home, monkeypatch):
    """Python chooses the next one itself."""
    assert environment_problems(home | {'TMPDIR': '/nonexistent'}) == []

    def none():
        raise FileNotFoundError(2, 'No usable temporary directory found in [...]')

    monkeypatch.setattr(tempfile, 'gettempdir', none)
    (problem,) = environment_problems(home)
    assert problem.startswith('TMPDIR: No usable temporary directory found in')


@pytest.mark.parametrize('command', ['manager', 'worker', 'monitor', 'mission'])
def test_all_problems_are_printed_and_nothing_is_started(
    command: str, monkeypatch, capsys, tmp_path
):
    """Each in a line of its own, with the command; the exit code is 2."""
    monkeypatch.setenv('ROS_LOG_DIR', str(tmp_path))
    monkeypatch.setenv('ROS_DOMAIN_ID', 'abc')
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'EVERYWHERE')
    assert cli.COMMANDS[command]([command, '--ros-args', '-p', 'a:=1']) == 2
    printed = capsys.readouterr()
    assert printed.out == ''
    end = '; nothing was started'
    assert printed.err.splitlines() == [
        f"{command}: ROS_DOMAIN_ID: found 'abc'; {DOMAINS}{end}",
        f"{command}: ROS_AUTOMATIC_DISCOVERY_RANGE: found 'EVERYWHERE'; {RANGES}{end}",
    ]
