"""Workers that stand by: configured, idle, and at work the moment they are needed."""

from __future__ import annotations

import os
import signal

import pytest
from support.configuring import stage
from support.observing import header, number_of

from worker_pipeline.testing import wait_for


def states(observer, name: str, slots: int) -> list[str]:
    """What the diagnostics say of each worker of a stage."""
    return [observer.values(f'{name}/worker_{index}').get('state', '') for index in range(slots)]


def wait_for_states(observer, name: str, *expected: str) -> None:
    wait_for(
        lambda: states(observer, name, len(expected)) == list(expected),
        f'{name}: {expected}',
        seen=lambda: states(observer, name, len(expected)),
    )


@pytest.mark.parametrize('death', [signal.SIGKILL, signal.SIGSTOP], ids=['killed', 'stopped'])
def test_one_that_stands_by_takes_over_with_what_the_dead_held(start, observer, death):
    """The vacated slot stands by from then on. Nothing is lost, nothing is doubled, in order."""
    manager = start(
        {
            'stages': ['work'],
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
    wait_for(lambda: 'worker_1 takes over from worker_0' in manager.output, 'a word of it')
    wait_for_states(observer, 'work', 'standby', 'active')
    assert observer.pid_of('work/worker_0') != first
    assert observer.pid_of('work/worker_1') == second
    if death is signal.SIGSTOP:
        # One that is killed may have answered all that it held.
        assert observer.count('work', 'redelivered') >= 1


def test_they_take_over_in_turn(start, observer):
    """Five deaths one after the other: there is always one at work, and one that stands by."""
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
        on_duty = turn % 2
        expected = ('active', 'standby') if on_duty == 0 else ('standby', 'active')
        wait_for_states(observer, 'echo', *expected)
        os.kill(int(observer.values(f'echo/worker_{on_duty}')['pid']), signal.SIGKILL)
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
    wait_for(lambda: manager.output.count(' takes over from ') == 5, 'a word of each')


def test_the_death_of_one_that_stands_by_disturbs_nobody(start, observer):
    """It is replaced by another one that stands by."""
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
    """Only those on duty go back to work."""
    start({'stages': ['echo'], 'echo': stage('Echo', workers=2, standby=1)})
    observer.wait_until_active('echo', 2)
    wait_for_states(observer, 'echo', 'active', 'active', 'standby')
    assert observer.change_state('echo', 'deactivate')
    wait_for_states(observer, 'echo', 'inactive', 'inactive', 'standby')
    assert observer.change_state('echo', 'activate')
    wait_for_states(observer, 'echo', 'active', 'active', 'standby')


def test_the_next_manager_goes_on_with_those_who_stand_by(start, observer):
    """The same processes, one of them at work."""
    manager = start({'stages': ['echo'], 'echo': stage('Echo', workers=1, standby=1)})
    observer.wait_until_active('echo', 1)
    wait_for_states(observer, 'echo', 'active', 'standby')
    before = {observer.pid_of(f'echo/worker_{index}') for index in range(2)}
    manager.signal(signal.SIGKILL)
    manager.wait()
    observer.diagnostics.clear()
    manager.start_again()
    wait_for_states(observer, 'echo', 'active', 'standby')
    assert {int(observer.values(f'echo/worker_{index}')['pid']) for index in range(2)} == before
    answers = observer.collect('echo/output')
    feed = observer.feeder('echo/input')
    observer.wait_until_active('echo', 1)
    feed.publish(header(1))
    wait_for(lambda: answers, 'an answer')


def test_a_changed_configuration_goes_to_those_who_stand_by_first(start, observer):
    """They take over from those on duty, which are replaced then: somebody is always at work."""
    parameters = {
        'stages': ['work'],
        'work': stage('Work', workers=1, standby=1, params={'mark': 'old'}),
    }
    manager = start(parameters)
    answers = observer.collect('work/output')
    observer.wait_until_active('work', 1)
    wait_for_states(observer, 'work', 'active', 'standby')
    manager.signal(signal.SIGKILL)
    manager.wait()
    parameters['work']['params']['mark'] = 'new'
    manager.write(parameters)
    observer.diagnostics.clear()
    manager.start_again()
    wait_for(
        lambda: manager.output.count('has another configuration') == 2,
        'both replaced',
        seen=manager.show,
    )
    wait_for(lambda: 'worker_1 takes over from worker_0' in manager.output, 'the change of guard')
    observer.diagnostics.clear()
    wait_for_states(observer, 'work', 'standby', 'active')
    assert 'Cannot' not in manager.output
    feed = observer.feeder('work/input')
    observer.wait_until_active('work', 1)
    feed.publish(header(1))
    wait_for(lambda: answers, 'an answer')
    assert answers[-1].frame_id.split()[-1] == 'new'
