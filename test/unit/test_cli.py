# SPDX-License-Identifier: Apache-2.0
"""The commands' arguments that concern no command's own work."""

from __future__ import annotations

import pytest

from worker_pipeline import cli


@pytest.mark.parametrize('command', ['manager', 'worker'])
@pytest.mark.parametrize('arguments', [['-h'], ['--help'], ['--help', '--ros-args', '-p', 'a:=1']])
def test_help_prints_the_usage_and_starts_nothing(command, arguments, capsys):
    assert cli.COMMANDS[command]([command, *arguments]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith(f'usage: python -m worker_pipeline {command} ')
    assert printed.err == ''


def test_a_ros_argument_is_no_request_for_help(monkeypatch):
    """What follows ``--ros-args`` is for ROS to judge."""
    passed = []
    monkeypatch.setattr('worker_pipeline.worker.standalone.run_standalone', passed.append)
    cli.worker(['worker', '--ros-args', '-h'])
    assert passed == [['worker', '--ros-args', '-h']]


@pytest.mark.parametrize('argument', ['-h', '--help'])
@pytest.mark.parametrize('command', cli.COMMANDS)
def test_every_command_has_a_help(command, argument, monkeypatch, capsys):
    """On standard output, with exit code 0; it needs nothing of the environment."""
    monkeypatch.setenv('ROS_DOMAIN_ID', 'abc')
    monkeypatch.setattr('sys.argv', ['worker_pipeline', command, argument])
    try:
        code = cli.main()
    except SystemExit as ended:
        code = ended.code or 0
    assert code == 0
    assert capsys.readouterr().out.startswith('usage: python -m worker_pipeline')


@pytest.mark.parametrize('command', ['manager', 'worker'])
@pytest.mark.parametrize(
    'arguments',
    [['--params-file', 'x.yaml'], ['x'], ['--ros-args', '-p', 'a:=1', '--', '--verbose']],
)
def test_arguments_that_no_one_reads_are_refused(command, arguments, capsys):
    """Such as those that were meant for ROS."""
    assert cli.COMMANDS[command]([command, *arguments]) == 2
    own = arguments[-1] if '--' in arguments else arguments[0]
    first = capsys.readouterr().err.splitlines()[0]
    assert first == (f'{command}: found {own!r}; allowed: only ROS arguments, after --ros-args')
