"""A worker that ends, for whatever reason, is replaced, and nothing is lost."""

from __future__ import annotations

import os
import signal

import pytest
from support.configuring import stage
from support.observing import header, number_of
from support.waiting import wait_for


@pytest.mark.parametrize('way', ['exit', 'segv', 'kill'])
def test_a_worker_that_dies_at_work_is_replaced_and_its_item_done(start, observer, tmp_path, way):
    """`os._exit`, a crash in native code, SIGKILL: the item is given out again, order is kept."""
    params = {'flag': str(tmp_path / 'died'), 'way': way}
    start({'stages': ['risky'], 'risky': stage('DiesOnce', queue_size=100, params=params)})
    answers = observer.collect('risky/output')
    feed = observer.feeder('risky/input')
    observer.wait_until_active('risky', 1)
    for number in range(20):
        feed.publish(header(number))
    wait_for(lambda: len(answers) == 20, '20 answers', seen=lambda: len(answers))
    assert [number_of(each) for each in answers] == list(range(20))
    wait_for(lambda: observer.count('risky', 'completed') == 20, 'diagnostics of the finished work')
    assert observer.values('risky/worker_0')['restarts'] == '1'
    assert observer.count('risky', 'quarantined') == 0


def test_a_worker_whose_configuration_fails_is_tried_again(start, observer, tmp_path):
    """An exception in a hook ends the process; the next one may do better."""
    manager = start(
        {
            'stages': ['moody'],
            'moody': stage('BadConfigureOnce', params={'flag': str(tmp_path / 'tried')}),
        }
    )
    observer.wait_until_active('moody', 1)
    assert 'RuntimeError: the model is not there yet' in manager.output
    assert observer.values('moody/worker_0')['restarts'] == '1'


def test_poison_costs_max_attempts_workers_and_never_the_queue(start, observer):
    """An item that ends its workers, and one that raises, go to quarantine; the rest goes on."""
    start({'stages': ['weak'], 'weak': stage('Poison', workers=2, queue_size=100)})
    answers = observer.collect('weak/output')
    feed = observer.feeder('weak/input')
    observer.wait_until_active('weak', 2)
    for number in range(20):
        feed.publish(header(number))
    wait_for(lambda: len(answers) == 18, '18 answers', seen=lambda: len(answers))
    assert [number_of(each) for each in answers] == [n for n in range(20) if n not in (5, 7)]
    wait_for(lambda: observer.count('weak', 'quarantined') == 2, 'two items in quarantine')
    causes = wait_for(
        lambda: len(observer.quarantined) == 2 and {each.message for each in observer.quarantined},
        'two announcements',
    )
    assert causes == {'exit code 4', 'ValueError: cannot do seven'}
    restarts = [int(observer.values(f'weak/worker_{index}')['restarts']) for index in (0, 1)]
    assert sum(restarts) == 2


def test_a_stopped_worker_is_ended_and_replaced(start, observer):
    """SIGSTOP: no heartbeats, so the process is killed and its items are done by another."""
    start(
        {
            'stages': ['work'],
            'heartbeat_timeout': 0.5,
            'work': stage('Work', workers=2, queue_size=200),
        }
    )
    answers = observer.collect('work/output')
    feed = observer.feeder('work/input')
    observer.wait_until_active('work', 2)
    os.kill(observer.pid_of('work/worker_0'), signal.SIGSTOP)
    for number in range(100):
        feed.publish(header(number))
    wait_for(lambda: len(answers) == 100, '100 answers', seen=lambda: len(answers))
    assert [number_of(each) for each in answers] == list(range(100))
    wait_for(lambda: observer.values('work/worker_0').get('restarts') == '1', 'one restart')


def test_a_hang_that_lets_heartbeats_through_is_ended(start, observer):
    """`task_timeout`: an item that takes too long costs its worker, and in the end itself."""
    start(
        {
            'stages': ['work'],
            'work': stage(
                'Work', task_timeout=0.3, max_attempts=1, queue_size=10, params={'seconds': 60.0}
            ),
        }
    )
    feed = observer.feeder('work/input')
    observer.wait_until_active('work', 1)
    feed.publish(header(1))
    wait_for(lambda: observer.quarantined, 'the item in quarantine')
    assert observer.quarantined[0].message == 'an item took longer than 0.3 s'
    wait_for(lambda: observer.values('work/worker_0').get('restarts') == '1', 'one restart')


def test_diagnostics_tell_of_a_death_and_of_the_recovery(start, observer):
    """A worker's status goes from OK to WARN and back to OK while its slot is filled anew."""
    start({'stages': ['slow'], 'slow': stage('SlowConfigure', params={'seconds': 1.5})})
    observer.wait_until_active('slow', 1)
    os.kill(observer.pid_of('slow/worker_0'), signal.SIGKILL)
    wait_for(
        lambda: observer.values('slow/worker_0').get('state') == 'replacing', 'state replacing'
    )
    assert observer.diagnostics[-1]['/airside/slow/worker_0'].level > b'\x00'
    observer.wait_until_active('slow', 1)
    newest = observer.diagnostics[-1]
    assert newest['/airside/slow/worker_0'].level == newest['/airside/slow'].level == b'\x00'
    assert newest['/airside/manager'].level == b'\x00'
