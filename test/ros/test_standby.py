# SPDX-License-Identifier: Apache-2.0
"""Standbys: configured, inactive, and active as soon as they are needed."""

from __future__ import annotations

import os
import signal

import pytest
from support.configuring import stage
from support.observer import header, number_of

from worker_pipeline.testing import wait_for


def states(observer, name: str, slots: int) -> list[str]:
    """Return the states of a stage's workers, from the newest diagnostics."""
    return [observer.values(f'{name}/worker_{index}').get('state', '') for index in range(slots)]


def wait_for_states(observer, name: str, *expected: str) -> None:
    wait_for(
        lambda: states(observer, name, len(expected)) == list(expected),
        f'{name}: {expected}',
        seen=lambda: states(observer, name, len(expected)),
    )


@pytest.mark.parametrize('death', [signal.SIGKILL, signal.SIGSTOP], ids=['killed', 'stopped'])
def test_a_standby_takes_over_the_items_of_a_dead_worker(start, observer, death):
    """Its slot is a standby from then on. Nothing is lost or doubled; the order is kept."""
    manager = start(
        {
            'stages': ['work'],
            **({'heartbeat_timeout': 1.0} if death is signal.SIGSTOP else {}),
            'work': stage('Work', workers=1, standby=1, queue_size=1000, params={'seconds': 0.005}),
        }
    )
    answers = observer.collect('work/output')
    feed = observer.feeder('work/input')
    observer.wait_until_active('work', 1)
    wait_for_states(observer, 'work', 'active', 'standby')
    first, second = (observer.pid_of(f'work/worker_{index}') for index in range(2))
    for number in range(200):
        feed.publish(header(number))
    wait_for(lambda: len(answers) > 20, 'some answers')
    os.kill(first, death)
    wait_for(lambda: len(answers) == 200, 'all answers', seen=manager.show)
    assert [number_of(each) for each in answers] == list(range(200))
    authors = [int(each.frame_id.split()[1]) for each in answers]
    assert authors == sorted(authors, key=[first, second].index), 'first the one, then the other'
    wait_for(lambda: 'worker_1 takes over from worker_0' in manager.output, 'the log message')
    wait_for_states(observer, 'work', 'standby', 'active')
    assert observer.pid_of('work/worker_0') != first
    assert observer.pid_of('work/worker_1') == second
    if death is signal.SIGSTOP:
        # One that is killed may have answered all that it held.
        assert observer.count('work', 'redelivered') >= 1


def test_standbys_take_over_in_turn(start, observer):
    """After each of five deaths there is an active worker and a standby."""
    manager = start(
        {
            'stages': ['echo'],
            'restart_limit': 100,
            'restart_backoff_max': 0.0,
            'echo': stage('Echo', workers=1, standby=1, queue_size=1000),
        }
    )
    answers = observer.collect('echo/output')
    feed = observer.feeder('echo/input')
    observer.wait_until_active('echo', 1)
    for turn in range(5):
        active = turn % 2
        expected = ('active', 'standby') if active == 0 else ('standby', 'active')
        wait_for_states(observer, 'echo', *expected)
        os.kill(int(observer.values(f'echo/worker_{active}')['pid']), signal.SIGKILL)
        observer.diagnostics.clear()
        for number in range(10):
            feed.publish(header(10 * turn + number))
        last = header(10 * turn + 9).stamp
        wait_for(
            lambda last=last: answers and answers[-1].stamp == last,
            'the answers',
            seen=manager.show,
        )
    assert [number_of(each) for each in answers] == list(range(50))
    wait_for(lambda: manager.output.count(' takes over from ') == 5, 'a log message for each')


def test_the_death_of_a_standby_has_no_effect_on_the_active_worker(start, observer):
    """The standby is replaced by another one."""
    start({'stages': ['echo'], 'echo': stage('Echo', workers=1, standby=1)})
    observer.wait_until_active('echo', 1)
    wait_for_states(observer, 'echo', 'active', 'standby')
    first, second = (observer.pid_of(f'echo/worker_{index}') for index in range(2))
    os.kill(second, signal.SIGKILL)
    assert observer.pid_of('echo/worker_1', but=second)
    observer.diagnostics.clear()
    wait_for_states(observer, 'echo', 'active', 'standby')
    assert observer.pid_of('echo/worker_0') == first


def test_a_stage_that_pauses_and_resumes_keeps_its_standby(start, observer):
    """Only the active workers are activated again."""
    start({'stages': ['echo'], 'echo': stage('Echo', workers=2, standby=1)})
    observer.wait_until_active('echo', 2)
    wait_for_states(observer, 'echo', 'active', 'active', 'standby')
    assert observer.change_state('echo', 'deactivate')
    wait_for_states(observer, 'echo', 'inactive', 'inactive', 'standby')
    assert observer.change_state('echo', 'activate')
    wait_for_states(observer, 'echo', 'active', 'active', 'standby')


def test_the_next_manager_adopts_active_workers_and_standbys(start, observer):
    """In the same processes."""
    manager = start({'stages': ['echo'], 'echo': stage('Echo', workers=1, standby=1)})
    observer.wait_until_active('echo', 1)
    wait_for_states(observer, 'echo', 'active', 'standby')
    before = {observer.pid_of(f'echo/worker_{index}') for index in range(2)}
    feed = observer.feeder('echo/input')
    manager.signal(signal.SIGKILL)
    manager.wait()
    observer.diagnostics.clear()
    manager.start_again()
    wait_for_states(observer, 'echo', 'active', 'standby')
    assert {int(observer.values(f'echo/worker_{index}')['pid']) for index in range(2)} == before
    answers = observer.collect('echo/output')
    wait_for(lambda: observer.matches('echo/input') > 1, 'the next manager to listen')
    observer.wait_until_active('echo', 1)
    feed.publish(header(1))
    wait_for(lambda: answers, 'an answer')


def test_a_rolling_update_begins_with_the_standbys(start, observer):
    """They take over from the active workers, which are replaced then."""
    parameters = {
        'stages': ['work'],
        'work': stage('Work', workers=1, standby=1, params={'mark': 'old'}),
    }
    manager = start(parameters)
    answers = observer.collect('work/output')
    observer.wait_until_active('work', 1)
    wait_for_states(observer, 'work', 'active', 'standby')
    feed = observer.feeder('work/input')
    manager.signal(signal.SIGKILL)
    manager.wait()
    parameters['work']['params']['mark'] = 'new'
    manager.write(parameters)
    observer.diagnostics.clear()
    manager.start_again()
    wait_for(
        lambda: manager.output.count('replacing it for its new configuration') == 2,
        'both replaced',
        seen=manager.show,
    )
    wait_for(lambda: 'worker_1 takes over from worker_0' in manager.output, 'the takeover')
    observer.diagnostics.clear()
    wait_for_states(observer, 'work', 'standby', 'active')
    assert 'Cannot' not in manager.output
    wait_for(lambda: observer.matches('work/input') > 1, 'the next manager to listen')
    observer.wait_until_active('work', 1)
    feed.publish(header(1))
    wait_for(lambda: answers, 'an answer')
    assert answers[-1].frame_id.split()[-1] == 'new'


@pytest.mark.parametrize('standby', [0, 1])
def test_the_last_worker_of_a_stage_is_replaced_without_the_delay(start, observer, standby):
    """It has worked; the delay would be from 300 to 600 s."""
    manager = start(
        {
            'stages': ['echo'],
            'restart_limit': 0,
            'restart_backoff_max': 600.0,
            'echo': stage('Echo', workers=1, standby=standby, queue_size=1000),
        }
    )
    answers = observer.collect('echo/output')
    feed = observer.feeder('echo/input')

    def active() -> list[int]:
        names = [f'echo/worker_{index}' for index in range(1 + standby)]
        found = [each for each in names if observer.values(each).get('state') == 'active']
        return [observer.pid_of(each) for each in found]

    killed: list[int] = []
    for number in range(5):
        wait_for(lambda: set(active()) - set(killed), 'another active worker', seen=manager.show)
        (pid,) = set(active()) - set(killed)
        age = float(observer.values('manager')['age_s'])
        # It is at work for longer than a second.
        wait_for(
            lambda age=age: float(observer.values('manager')['age_s']) > age + 2.0,
            'two seconds of diagnostics',
        )
        os.kill(pid, signal.SIGKILL)
        killed.append(pid)
        feed.publish(header(number))
        wait_for(lambda number=number: len(answers) > number, 'an answer', seen=manager.show)
    assert [number_of(each) for each in answers] == list(range(5))
