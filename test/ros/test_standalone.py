# SPDX-License-Identifier: Apache-2.0
"""A stage that runs alone, by the command ``worker``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from support.manager_process import python_path
from support.observer import header, number_of

from worker_pipeline.ros.shared_memory import mapped_by
from worker_pipeline.testing import wait_for


@pytest.fixture
def run(domain, tmp_path):
    """Start the command; kill its remains after the test."""
    started = []

    def start(*parameters: str) -> subprocess.Popen[str]:
        given = [part for each in parameters for part in ('-p', each)]
        command = [sys.executable, '-m', 'worker_pipeline', 'worker', '--ros-args', *given]
        environment = os.environ | {
            'ROS_DOMAIN_ID': str(domain),
            'PYTHONPATH': python_path(),
            'ROS_LOG_DIR': str(tmp_path),
        }
        started.append(
            subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                env=environment,
            )
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def stop(process, number: signal.Signals = signal.SIGINT) -> str:
    """Stop the command, which must exit cleanly. Return its output."""
    process.send_signal(number)
    output, _ = process.communicate(timeout=20.0)
    assert process.returncode == 0, output
    return output


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_items_are_answered_in_order_until_a_stop_signal(run, observer, number):
    """With the given parameters."""
    process = run('plugin:=support.stages:Work', 'params.mark:=alone')
    answers = observer.collect('output')
    feed = observer.feeder('input')
    wait_for(lambda: observer.node.count_publishers('/airside/output'), 'its output')
    for first in range(0, 50, 5):
        for index in range(first, first + 5):
            feed.publish(header(index))
        wait_for(lambda first=first: len(answers) == first + 5, 'the answers')
    assert [number_of(each) for each in answers] == list(range(50))
    assert {each.frame_id.split()[1:] == [str(process.pid), 'alone'] for each in answers} == {True}
    # A killed process blocks others that share memory with it, so the command shares none.
    assert not mapped_by(str(process.pid))
    assert 'Work is active' in stop(process, number)


def test_a_source_is_asked_for_an_item_every_period(run, observer):
    """Until its stream ends."""
    process = run('plugin:=support.stages:Counting', 'params.items:=2000', 'period:=0.02')
    answers = observer.collect('output')
    wait_for(lambda: answers or process.poll() is not None, 'an item')
    output = stop(process)
    assert 'Counting is active' in output


def test_a_failed_item_is_logged_with_its_traceback(run, observer):
    """The next item is processed."""
    process = run('plugin:=support.stages:Poison')
    answers = observer.collect('output')
    feed = observer.feeder('input')
    wait_for(lambda: observer.node.count_publishers('/airside/output'), 'its output')
    feed.publish(header(7))
    feed.publish(header(8))
    wait_for(lambda: answers, 'the answer')
    assert number_of(answers[0]) == 8
    output = stop(process)
    assert 'Traceback' in output
    assert 'cannot do seven' in output


@pytest.mark.parametrize(
    ('parameters', 'message'),
    [
        ([], "worker: plugin: found ''; allowed: module:Class on the Python path"),
        (['plugin:=nowhere:Echo'], "worker: plugin: found 'nowhere:Echo'; no module 'nowhere'"),
        (
            ['plugin:=support.stages:Echo', 'params.gian:=1.0'],
            "worker: params: gian: unknown parameter; did you mean 'gain'?",
        ),
        (
            ['plugin:=support.stages:Echo', 'gain:=2.0'],
            "worker: params: gain: no parameter of a worker; did you mean 'params.gain'?",
        ),
        (
            ['plugin:=support.stages:Counting', 'perod:=0.02'],
            "worker: params: perod: no parameter of a worker; did you mean 'period'?",
        ),
    ],
)
def test_a_bad_parameter_is_reported_and_nothing_is_started(run, parameters, message):
    """The exit code is 2."""
    process = run(*parameters)
    output, _ = process.communicate(timeout=20.0)
    assert process.returncode == 2
    assert message in output


def test_quitting_the_debugger_ends_the_command(run, observer):
    """Also in the middle of an item, which then has not failed."""
    process = run('plugin:=support.stages:Debugged')
    feed = observer.feeder('input')
    feed.publish(header(1))
    # Python 3.14 and later ask for confirmation.
    output, _ = process.communicate(input='p item.frame_id\nq\ny\n', timeout=20.0)
    assert "'1'" in output
    assert 'failed' not in output
