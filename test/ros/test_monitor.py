# SPDX-License-Identifier: Apache-2.0
"""The monitor as a process in a terminal, beside a real pipeline."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from support.configuring import stage
from support.manager_process import python_path

from worker_pipeline.testing import wait_for

pytest.importorskip('pyte')

from support.terminal import Terminal

COMMAND = [sys.executable, '-m', 'worker_pipeline', 'monitor']
PARAMETERS = {
    'stages': ['work', 'echo'],
    'work': stage('Work'),
    'echo': stage('Echo', input='work'),
}


@pytest.fixture
def environment(domain, tmp_path):
    """Return the environment of a monitor in the domain of this test."""
    return os.environ | {
        'ROS_DOMAIN_ID': str(domain),
        'PYTHONPATH': python_path(),
        'ROS_LOG_DIR': str(tmp_path),
    }


@pytest.fixture
def watch(environment):
    """Return a function that starts a monitor in a terminal, to be ended with the test."""
    started = []

    def start_monitor(*arguments: str, columns: int = 80, lines: int = 24) -> Terminal:
        started.append(Terminal([*COMMAND, *arguments], environment, columns, lines))
        return started[-1]

    yield start_monitor
    for terminal in started:
        terminal.close()


def is_restored(terminal: Terminal) -> bool:
    """Return whether the terminal's settings and its former screen are restored."""
    wait_for(lambda: terminal.written.endswith(b'\x1b[?25h\x1b[?1049l'), 'the former screen')
    return terminal.attributes() == terminal.before


def test_the_monitor_shows_and_controls_a_pipeline(start, watch):
    """From before its start, and across deaths of a worker and of the manager."""
    monitor = watch()
    monitor.wait_for('no diagnostics from a manager in /airside on /diagnostics')
    manager = start(PARAMETERS)
    monitor.wait_for('echo', 'active', '0/10')
    monitor.wait_for('/airside', 'active', '0 restarts', 'updated just now')
    # A worker is added to a stage, and removed.
    monitor.type('\x1b[B')
    monitor.wait_for('▸ work', 'active')
    monitor.type('+')
    monitor.wait_for('work to 2 workers: done')
    monitor.wait_for('worker_1', 'active')
    monitor.type('--')
    monitor.wait_for('work to 0 workers: refused: Parameter work.workers out of range')
    wait_for(lambda: not monitor.line('worker_1'), 'one worker', seen=lambda: monitor.lines)
    # The stage is paused and resumed.
    monitor.type('p')
    monitor.wait_for('pause work: done')
    monitor.wait_for('▸ work', '! inactive')
    monitor.type('p')
    monitor.wait_for('pause work: refused: it is inactive')
    monitor.type('d')
    monitor.wait_for('drain work: ')
    monitor.type('r')
    monitor.wait_for('resume work: done')
    wait_for(lambda: not monitor.line('work', '! inactive'), 'that it is active')
    # A worker dies and is replaced.
    line = monitor.wait_for('worker_0', 'active')
    before = int(line.split()[2])
    os.kill(before, signal.SIGKILL)
    monitor.wait_for('replaced: killed by SIGKILL')
    after = int(monitor.wait_for('worker_0', '! active').split()[3])
    assert after != before
    monitor.wait_for('/airside', 'active', '1 restart ')
    # Cordoning the last active worker needs confirmation.
    monitor.type('jc')
    monitor.wait_for('cordon work/worker_0? It is the only active worker')
    monitor.type('y')
    monitor.wait_for('cordon work/worker_0: done')
    # The manager is restarted.
    manager.process.kill()
    manager.wait()
    monitor.wait_for('MANAGER SILENT FOR 0:0')
    manager.start_again()
    monitor.wait_for('/airside', 'active', 'updated just now')
    assert monitor.line('worker_0', str(after)), 'the same workers'
    monitor.resize(200, 10)
    monitor.wait_for('quarant.', 'redelivered')
    monitor.type('q')
    assert monitor.wait() == 0
    assert is_restored(monitor)
    assert manager.process.poll() is None, 'the pipeline keeps running'


@pytest.mark.parametrize('how', ['Ctrl-C', 'SIGTERM', 'the window is closed'])
def test_the_terminal_is_restored(watch, how):
    """However the monitor is ended."""
    monitor = watch('--namespace', 'north')
    monitor.wait_for('no diagnostics from a manager in /north on /diagnostics')
    assert monitor.attributes() != monitor.before
    if how == 'Ctrl-C':
        monitor.type('\x03')
    elif how == 'SIGTERM':
        monitor.process.send_signal(signal.SIGTERM)
    else:
        monitor.hang_up()
    assert monitor.wait() == 0
    assert how == 'the window is closed' or is_restored(monitor)
    assert b'Traceback' not in monitor.written


def run(environment, *arguments: str) -> subprocess.Popen[str]:
    """Start a monitor with its output in a pipe."""
    return subprocess.Popen(
        [*COMMAND, *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_without_a_terminal_the_monitor_prints_one_table(start, observer, environment):
    """Or that there is no manager, and where it looked for one."""
    start({'stages': ['echo'], 'echo': stage('Echo')})
    observer.wait_until_active('echo', 1)
    here = run(environment)
    elsewhere = run(environment, '--timeout', '3', '--ros-args', '-r', '__ns:=/north')
    printed, errors = here.communicate(timeout=60)
    assert here.returncode == 0, errors
    lines = printed.splitlines()
    assert lines[0].startswith(' /airside   active   up 0:')
    assert [line.split()[0] for line in lines[1:]] == [
        *('stage', 'process', 'manager', 'echo', 'worker_0'),
    ]
    assert '\x1b' not in printed
    printed, errors = elsewhere.communicate(timeout=60)
    assert (elsewhere.returncode, printed) == (1, '')
    assert errors.splitlines() == [
        'monitor: no diagnostics from a manager in /north on /diagnostics within 3 s',
        f'ROS_DOMAIN_ID: {environment["ROS_DOMAIN_ID"]}, ROS_AUTOMATIC_DISCOVERY_RANGE: LOCALHOST',
        'there are pipelines in: /airside',
    ]


@pytest.mark.parametrize(
    'arguments', [['--namespace', 'a b'], ['--ros-args', '-r', '__ns:=/1'], ['--ros-args', '-x']]
)
def test_arguments_that_ros_rejects_are_reported(environment, arguments):
    monitor = run(environment, *arguments)
    printed, errors = monitor.communicate(timeout=60)
    assert (monitor.returncode, printed) == (2, '')
    assert errors.splitlines()[-1].startswith('monitor: ')
    assert 'Traceback' not in errors
