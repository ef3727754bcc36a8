"""A worker that is started alone, by hand."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from support.managing import python_path
from support.observing import header, number_of

from worker_pipeline.testing import wait_for


@pytest.fixture
def run(domain, tmp_path):
    """Start one; what is left of it ends with the test."""
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


def end(process, number: signal.Signals = signal.SIGINT) -> str:
    """What it printed; it ends in order."""
    process.send_signal(number)
    output, _ = process.communicate(timeout=20.0)
    assert process.returncode == 0, output
    return output


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_it_answers_on_its_own(run, observer, number):
    """With its parameters, in order; and ends when it is asked to."""
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
    assert 'Work is at work' in end(process, number)


def test_a_source_is_asked_every_period(run, observer):
    """As long as it has something."""
    process = run('plugin:=support.stages:Counting', 'params.items:=2000', 'period:=0.02')
    answers = observer.collect('output')
    wait_for(lambda: answers or process.poll() is not None, 'an item')
    output = end(process)
    assert 'Counting is at work' in output


def test_what_fails_is_told_with_its_traceback(run, observer):
    """The next item passes."""
    process = run('plugin:=support.stages:Poison')
    answers = observer.collect('output')
    feed = observer.feeder('input')
    wait_for(lambda: observer.node.count_publishers('/airside/output'), 'its output')
    feed.publish(header(7))
    feed.publish(header(8))
    wait_for(lambda: answers, 'the answer')
    assert number_of(answers[0]) == 8
    output = end(process)
    assert 'Traceback' in output
    assert 'cannot do seven' in output


@pytest.mark.parametrize(
    ('parameters', 'told'),
    [
        ([], "worker: plugin: found ''; allowed: module:Class on the Python path"),
        (['plugin:=nowhere:Echo'], "worker: plugin: found 'nowhere:Echo'; no module 'nowhere'"),
        (
            ['plugin:=support.stages:Echo', 'params.gian:=1.0'],
            "worker: params: gian: unknown parameter; did you mean 'gain'?",
        ),
    ],
)
def test_what_cannot_be_is_told(run, parameters, told):
    """And nothing is started."""
    process = run(*parameters)
    output, _ = process.communicate(timeout=20.0)
    assert process.returncode == 2
    assert told in output


def test_who_leaves_the_debugger_ends_it(run, observer):
    """Also in the middle of an item: that one has not failed."""
    process = run('plugin:=support.stages:Debugged')
    feed = observer.feeder('input')
    feed.publish(header(1))
    # From Python 3.14 on it asks whether that is meant.
    output, _ = process.communicate(input='p item.frame_id\nq\ny\n', timeout=20.0)
    assert "'1'" in output
    assert 'failed' not in output
