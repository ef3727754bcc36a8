"""The monitor, as a process in a terminal, beside a real pipeline."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from support.configuring import stage
from support.managing import python_path

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
    """What a monitor of this test's domain is started with."""
    return os.environ | {
        'ROS_DOMAIN_ID': str(domain),
        'PYTHONPATH': python_path(),
        'ROS_LOG_DIR': str(tmp_path),
    }


@pytest.fixture
def watch(environment):
    """Start a monitor in a terminal; what is left of it ends with the test."""
    started = []

    def start_monitor(*arguments: str, columns: int = 80, lines: int = 24) -> Terminal:
        started.append(Terminal([*COMMAND, *arguments], environment, columns, lines))
        return started[-1]

    yield start_monitor
    for terminal in started:
        terminal.close()


def is_as_before(terminal: Terminal) -> bool:
    """Whether the terminal is set as it was, and shows again what it did."""
    wait_for(lambda: terminal.written.endswith(b'\x1b[?25h\x1b[?1049l'), 'the screen from before')
    return terminal.attributes() == terminal.before


def test_it_shows_a_pipeline_and_steers_it(start, watch):
    """From before there is one; over the death of a worker, and of the manager."""
    monitor = watch()
    monitor.wait_for('nothing of a manager in /airside heard on /diagnostics')
    manager = start(PARAMETERS)
    monitor.wait_for('echo', 'active', '0/10')
    monitor.wait_for('/airside', 'active', '0 restarts', 'heard just now')
    # A stage has one worker more, and one less.
    monitor.type('\x1b[B')
    monitor.wait_for('▸ work', 'active')
    monitor.type('+')
    monitor.wait_for('work to 2 workers: done')
    monitor.wait_for('worker_1', 'active')
    monitor.type('--')
    monitor.wait_for('work to 0 workers: refused: Parameter work.workers out of range')
    wait_for(lambda: not monitor.line('worker_1'), 'one worker', seen=lambda: monitor.lines)
    # It is paused and resumed.
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
    # A worker dies, and another takes its place.
    line = monitor.wait_for('worker_0', 'active')
    before = int(line.split()[2])
    os.kill(before, signal.SIGKILL)
    monitor.wait_for('replaced: killed by SIGKILL')
    after = int(monitor.wait_for('worker_0', '! active').split()[3])
    assert after != before
    monitor.wait_for('/airside', 'active', '1 restart ')
    # The last one at work is taken out only after a yes.
    monitor.type('jc')
    monitor.wait_for('cordon work/worker_0? It is the only one at work')
    monitor.type('y')
    monitor.wait_for('cordon work/worker_0: done')
    # The manager is restarted.
    manager.process.kill()
    manager.wait()
    monitor.wait_for('MANAGER SILENT FOR 0:0')
    manager.start_again()
    monitor.wait_for('/airside', 'active', 'heard just now')
    assert monitor.line('worker_0', str(after)), 'the same workers'
    monitor.resize(200, 10)
    monitor.wait_for('given up', 'redelivered')
    monitor.type('q')
    assert monitor.wait() == 0
    assert is_as_before(monitor)
    assert manager.process.poll() is None, 'the pipeline goes on'


@pytest.mark.parametrize('how', ['Ctrl-C', 'SIGTERM', 'the window is closed'])
def test_the_terminal_is_as_before(watch, how):
    """However it ends."""
    monitor = watch('--namespace', 'north')
    monitor.wait_for('nothing of a manager in /north heard on /diagnostics')
    assert monitor.attributes() != monitor.before
    if how == 'Ctrl-C':
        monitor.type('\x03')
    elif how == 'SIGTERM':
        monitor.process.send_signal(signal.SIGTERM)
    else:
        monitor.hang_up()
    assert monitor.wait() == 0
    assert how == 'the window is closed' or is_as_before(monitor)
    assert b'Traceback' not in monitor.written


def run(environment, *arguments: str) -> subprocess.Popen[str]:
    """A monitor whose output is read by a program."""
    return subprocess.Popen(
        [*COMMAND, *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_without_a_terminal_it_prints_what_there_is_once(start, observer, environment):
    """Or that there is nothing, and where it was looked for."""
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
        'monitor: nothing of a manager in /north heard on /diagnostics within 3 s',
        f'ROS_DOMAIN_ID: {environment["ROS_DOMAIN_ID"]}, ROS_AUTOMATIC_DISCOVERY_RANGE: LOCALHOST',
        'there are pipelines in: /airside',
    ]


@pytest.mark.parametrize(
    'arguments', [['--namespace', 'a b'], ['--ros-args', '-r', '__ns:=/1'], ['--ros-args', '-x']]
)
def test_what_ros_does_not_take_is_told(environment, arguments):
    monitor = run(environment, *arguments)
    printed, errors = monitor.communicate(timeout=60)
    assert (monitor.returncode, printed) == (2, '')
    assert errors.splitlines()[-1].startswith('monitor: ')
    assert 'Traceback' not in errors
