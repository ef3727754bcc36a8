# SPDX-License-Identifier: Apache-2.0
"""Spares: processes with a discovered DDS participant, ready to become the next worker."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from support.configuring import stage
from support.observer import header, number_of

from worker_pipeline.system.proc import start_of
from worker_pipeline.testing import wait_for


def spares(observer) -> set[int]:
    """Return the pids of the spares in the ROS graph."""
    names = observer.node.get_node_names_and_namespaces()
    return {int(name.rpartition('_')[2]) for name, _ in names if name.startswith('_spare_')}


def wait_for_spares(observer, count: int, but: frozenset[int] = frozenset()) -> set[int]:
    """Wait until ``count`` spares are ready, without those in ``but``. Return their pids."""

    def are_there() -> bool:
        ready = observer.values('manager').get('spares')
        return ready == str(count) and len(spares(observer) - but) == count

    wait_for(are_there, f'{count} spares', seen=lambda: spares(observer))
    return spares(observer) - but


def test_a_spare_becomes_the_replacement_of_a_dead_worker(start, observer):
    """In any stage; another spare is then started. No item is lost."""
    manager = start(
        {
            'stages': ['work', 'echo'],
            'work': stage('Work', workers=1, queue_size=1000, params={'seconds': 0.002}),
            'echo': stage('Echo', workers=1, input='work', queue_size=1000),
        }
    )
    answers = observer.collect('echo/output')
    feed = observer.feeder('work/input')
    for name in ('work', 'echo'):
        observer.wait_until_active(name, 1)
    used: frozenset[int] = frozenset()
    for turn, name in enumerate(('work', 'echo')):
        (spare,) = wait_for_spares(observer, 1, but=used)
        used |= {spare}
        dead = observer.pid_of(f'{name}/worker_0')
        assert Path(f'/proc/{spare}/comm').read_text() == 'spare\n'
        for number in range(100):
            feed.publish(header(100 * turn + number))
        os.kill(dead, signal.SIGKILL)
        assert observer.pid_of(f'{name}/worker_0', but=dead) == spare
        assert Path(f'/proc/{spare}/comm').read_text() == f'{name}/worker_0\n'
        expected = 100 * (turn + 1)
        wait_for(lambda expected=expected: len(answers) == expected, 'answers', seen=manager.show)
    assert [number_of(each) for each in answers] == list(range(200))
    wait_for_spares(observer, 1, but=used)


def test_a_spare_that_exits_is_replaced(start, observer):
    """Workers and other spares are not affected."""
    start({'stages': ['echo'], 'spares': 2, 'echo': stage('Echo', workers=1)})
    observer.wait_until_active('echo', 1)
    worker = observer.pid_of('echo/worker_0')
    first, second = wait_for_spares(observer, 2)
    os.kill(first, signal.SIGKILL)
    assert second in wait_for_spares(observer, 2, but=frozenset({first}))
    assert observer.pid_of('echo/worker_0') == worker


def test_a_hanging_spare_is_killed_when_it_fails_to_become_a_worker(start, observer):
    """It was ready once; without heartbeats it is replaced like any worker."""
    start(
        {'stages': ['echo'], 'heartbeat_timeout': 0.5, 'echo': stage('Echo', workers=1)},
    )
    observer.wait_until_active('echo', 1)
    (spare,) = wait_for_spares(observer, 1)
    os.kill(spare, signal.SIGSTOP)
    first = observer.pid_of('echo/worker_0')
    os.kill(first, signal.SIGKILL)
    answers = observer.collect('echo/output')
    feed = observer.feeder('echo/input')
    feed.publish(header(1))
    wait_for(lambda: len(answers) == 1, 'the answer')
    assert observer.pid_of('echo/worker_0', but=first) != spare
    wait_for(lambda: start_of(spare) is None, 'the exit of the spare')


def test_spares_exit_with_their_manager(start, observer):
    """Also after a SIGKILL; workers keep running, and the next manager starts its own spares."""
    manager = start({'stages': ['echo'], 'echo': stage('Echo', workers=1)})
    observer.wait_until_active('echo', 1)
    worker = observer.pid_of('echo/worker_0')
    (spare,) = wait_for_spares(observer, 1)
    manager.signal(signal.SIGKILL)
    manager.wait()
    wait_for(lambda: start_of(spare) is None, 'the exit of the spare')
    manager.start_again()
    (other,) = wait_for_spares(observer, 1, but=frozenset({spare}))
    assert observer.pid_of('echo/worker_0') == worker
    manager.signal(signal.SIGINT)
    assert manager.wait() == 0
    assert start_of(other) is None


def test_without_spares_a_replacement_is_forked(start, observer):
    """No spare is started."""
    start({'stages': ['echo'], 'spares': 0, 'echo': stage('Echo', workers=1)})
    observer.wait_until_active('echo', 1)
    first = observer.pid_of('echo/worker_0')
    os.kill(first, signal.SIGKILL)
    observer.pid_of('echo/worker_0', but=first)
    observer.wait_until_active('echo', 1)
    assert observer.values('manager')['spares'] == '0'
    assert spares(observer) == set()
