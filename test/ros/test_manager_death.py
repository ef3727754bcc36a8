"""The manager is killed: its workers live on, and the next one goes on with them."""

from __future__ import annotations

import os
import shutil
import signal
import time
from itertools import pairwise

import psutil
import pytest
from support.configuring import stage
from support.observing import header, number_of

from worker_pipeline.runtime.saved_state import SavedState
from worker_pipeline.testing import wait_for


def kill(manager):
    manager.signal(signal.SIGKILL)
    manager.wait()


def pids(observer, *workers):
    return [observer.pid_of(worker) for worker in workers]


PIPELINE = {
    'stages': ['first', 'second'],
    'first': stage('Work', workers=2, queue_size=1000, params={'seconds': 0.005}),
    'second': stage('Remembers', input='first', overflow='block', params={'seconds': 0.002}),
}
WORKERS = ('first/worker_0', 'first/worker_1', 'second/worker_0')


@pytest.mark.parametrize('journal', [True, False])
def test_the_next_manager_adopts_the_workers(start, observer, journal):
    """Same processes, at work again; nothing that a worker held is lost or comes twice."""
    manager = start({**PIPELINE, 'journal': journal})
    feed = observer.feeder('first/input')
    heard = observer.collect('second/output')
    observer.wait_until_active('first', 2)
    observer.wait_until_active('second', 1)
    before = pids(observer, *WORKERS)
    for number in range(100):
        feed.publish(header(number))
    wait_for(lambda: len(heard) > 20, 'the first items')
    kill(manager)
    assert all(psutil.pid_exists(pid) for pid in before)
    manager.start_again()
    wait_for(
        lambda: manager.output.count('every stage is at work') == 2, 'the stages at work again'
    )
    observer.diagnostics.clear()
    wait_for(
        lambda: (
            observer.count('second', 'delivered') > 0
            and observer.count('first', 'queued') + observer.count('first', 'in_flight') == 0
            and observer.count('second', 'queued') + observer.count('second', 'in_flight') == 0
        ),
        'the items that were left',
        seen=manager.show,
    )
    assert pids(observer, *WORKERS) == before
    numbers = [number_of(message) for message in heard]
    if journal:
        # Those that had not acknowledged the last ones hear them once more.
        repeated = len(numbers) - len(set(numbers))
        again = next((i for i, pair in enumerate(pairwise(numbers), 1) if pair[1] <= pair[0]), 0)
        numbers = numbers[:again] + numbers[again + repeated :] if again else numbers
    assert numbers == sorted(set(numbers))
    count, total = (int(each) for each in heard[-1].frame_id.split())
    if journal:
        assert numbers == list(range(100))
        assert count == 100
        assert total == sum((number + 1) * 1_000_000 for number in range(100))
        assert observer.count('second', 'delivered') == 100
    feed.publish(header(200))
    wait_for(lambda: number_of(heard[-1]) == 200, 'an item for the new manager')
    assert manager.output.count('Traceback') == 0


def test_an_item_in_work_is_finished_and_not_done_again(start, observer):
    """Without a journal: what a worker held while there was no manager is answered once."""
    manager = start(
        {'stages': ['work'], 'work': stage('Work', params={'seconds': 1.5}, concurrency=2)}
    )
    feed = observer.feeder('work/input')
    heard = observer.collect('work/output')
    observer.wait_until_active('work', 1)
    pid = observer.pid_of('work/worker_0')
    for number in range(2):
        feed.publish(header(number))
    wait_for(lambda: observer.heartbeats[-1].values[2].value == '2', 'two items held')
    kill(manager)
    manager.start_again()
    wait_for(lambda: len(heard) == 2, 'both answers', seen=manager.show)
    assert [number_of(message) for message in heard] == [0, 1]
    assert {int(message.frame_id.split()[1]) for message in heard} == {pid}


def test_a_worker_that_dies_meanwhile_is_replaced_and_its_items_are_not_lost(start, observer):
    """Two deaths at once, also without a journal: it has kept what it held for the next manager."""
    manager = start({'stages': ['work'], 'work': stage('Work', params={'seconds': 2.0})})
    feed = observer.feeder('work/input')
    heard = observer.collect('work/output')
    observer.wait_until_active('work', 1)
    pid = observer.pid_of('work/worker_0')
    for number in range(2):
        feed.publish(header(number))
    wait_for(lambda: observer.heartbeats[-1].values[2].value == '2', 'two items held')
    kill(manager)
    wait_for(lambda: list((manager.folder / 'workers').glob('*.held')), 'the items kept')
    os.kill(pid, signal.SIGKILL)
    manager.start_again()
    wait_for(lambda: len(heard) == 2, 'both answers', seen=manager.show)
    assert [number_of(message) for message in heard] == [0, 1]
    assert pid not in {int(message.frame_id.split()[1]) for message in heard}


def test_what_a_worker_remembers_that_dies_meanwhile_is_done(start, observer):
    """It is in its state, so its answer is there, though nobody was told of it."""
    manager = start(
        {'stages': ['work'], 'work': stage('Remembers', params={'seconds': 1.0}), 'journal': True}
    )
    feed = observer.feeder('work/input')
    heard = observer.collect('work/output')
    observer.wait_until_active('work', 1)
    pid = observer.pid_of('work/worker_0')
    feed.publish(header(0))
    wait_for(lambda: observer.heartbeats[-1].values[2].value == '1', 'an item held')
    kill(manager)
    saved = SavedState(manager.folder / 'states' / 'work.worker_0')
    wait_for(lambda: saved.read().answers, 'the answer in its state')
    os.kill(pid, signal.SIGKILL)
    manager.start_again()
    wait_for(lambda: heard, 'the answer', seen=manager.show)
    observer.pid_of('work/worker_0', but=pid)
    observer.feeder('work/input').publish(header(1))
    wait_for(lambda: len(heard) == 2, 'an item for the next one', seen=manager.show)
    assert [message.frame_id for message in heard] == ['1 1000000', '2 3000000']


def test_a_second_manager_is_refused(start, observer):
    """It names the first one's pid, and leaves the pipeline alone."""
    manager = start({'stages': ['echo'], 'echo': stage('Echo')})
    observer.wait_until_active('echo', 1)
    pid = observer.pid_of('echo/worker_0')
    second = start({'stages': ['echo'], 'echo': stage('Echo')}, 'second')
    assert second.wait() == 1
    assert f'pid {manager.process.pid}' in second.output
    assert 'Traceback' not in second.output
    feed = observer.feeder('echo/input')
    heard = observer.collect('echo/output')
    observer.wait_until_active('echo', 1)
    feed.publish(header(1))
    wait_for(lambda: heard, 'an item through the first')
    assert observer.pid_of('echo/worker_0') == pid
    manager.signal(signal.SIGINT)
    assert manager.wait() == 0
    assert not manager.folder.exists()


def test_workers_end_without_a_manager(start, observer):
    """After `orphan_timeout`, and nothing of them is left."""
    manager = start({'stages': ['echo'], 'orphan_timeout': 1.0, 'echo': stage('Echo', workers=2)})
    observer.wait_until_active('echo', 2)
    kill(manager)
    killed = time.monotonic()
    wait_for(lambda: not manager.relatives(), 'the end of the workers')
    assert time.monotonic() - killed > 0.8
    assert manager.output.count('no manager for 1 s') == 2


def test_workers_that_no_manager_can_know_of_end(start, observer):
    """Somebody has tidied up shared memory: the next manager begins afresh, with others."""
    manager = start({'stages': ['echo'], 'echo': stage('Echo', workers=2)})
    observer.wait_until_active('echo', 2)
    before = pids(observer, 'echo/worker_0', 'echo/worker_1')
    kill(manager)
    shutil.rmtree(manager.folder)
    observer.diagnostics.clear()
    manager.start_again()
    wait_for(
        lambda: not any(psutil.pid_exists(pid) for pid in before),
        'the end of the old workers',
        seen=manager.show,
    )
    observer.wait_until_active('echo', 2)
    assert set(pids(observer, 'echo/worker_0', 'echo/worker_1')).isdisjoint(before)
    assert manager.output.count('was taken away; ending') == 2


def test_a_changed_configuration_replaces_workers_one_by_one(start, observer):
    """Those that no longer fit finish what they hold, and others take their place."""
    parameters = {'stages': ['work'], 'work': stage('Work', workers=2, params={'mark': 'old'})}
    manager = start(parameters)
    observer.wait_until_active('work', 2)
    before = set(pids(observer, 'work/worker_0', 'work/worker_1'))
    kill(manager)
    parameters['work']['params']['mark'] = 'new'
    manager.write(parameters)
    manager.start_again()
    feed = observer.feeder('work/input')
    heard = observer.collect('work/output')

    def replaced():
        return before.isdisjoint(
            int(observer.values(f'work/worker_{index}').get('pid') or 0) for index in range(2)
        )

    wait_for(replaced, 'two other workers', seen=manager.show)
    observer.wait_until_active('work', 2)
    assert manager.output.count('has another configuration') == 2
    for number in range(10):
        feed.publish(header(number))
    wait_for(lambda: len(heard) == 10, 'the items')
    assert {message.frame_id.split()[2] for message in heard} == {'new'}
    assert observer.values('manager')['restarts'] == '0'


def test_a_changed_configuration_leaves_nobody_without_an_answer(start, observer):
    """Also of one worker alone that takes its time: a fresh one is ready before it goes."""
    seconds = 3.0
    parameters = {
        'stages': ['slow'],
        'slow': stage('SlowConfigure', params={'seconds': 0.0}),
    }
    manager = start(parameters)
    observer.wait_until_active('slow', 1)
    before = observer.pid_of('slow/worker_0')
    kill(manager)
    parameters['slow']['params']['seconds'] = seconds
    manager.write(parameters)
    observer.diagnostics.clear()
    manager.start_again()
    answers = observer.collect('slow/output')
    feed = observer.feeder('slow/input')
    observer.wait_until_active('slow', 1)

    def is_done() -> bool:
        status = observer.values('slow/worker_0')
        is_anew = int(status.get('pid') or before) != before and status['state'] == 'active'
        return is_anew and observer.values('manager')['workers'] == '1'

    deadline = time.monotonic() + 30.0
    number = 0
    while not is_done():
        assert time.monotonic() < deadline, manager.output
        number += 1
        feed.publish(header(number))
        wait_for(
            lambda number=number: len(answers) == number,
            'an answer, sooner than a new worker takes to configure',
            0.8 * seconds,
            manager.show,
        )
    assert [number_of(each) for each in answers] == list(range(1, number + 1))
    wait_for(lambda: 'worker_1 takes over from worker_0' in manager.output, 'a word of it')
    assert observer.values('manager')['restarts'] == '0'


def test_fewer_workers_and_a_stage_less(start, observer):
    """What is not configured any more goes."""
    parameters = {
        'stages': ['work', 'echo'],
        'work': stage('Work', workers=2),
        'echo': stage('Echo'),
    }
    manager = start(parameters)
    observer.wait_until_active('work', 2)
    observer.wait_until_active('echo', 1)
    kept, surplus, other = pids(observer, 'work/worker_0', 'work/worker_1', 'echo/worker_0')
    kill(manager)
    manager.write({'stages': ['work'], 'work': stage('Work', workers=1)})
    manager.start_again()
    wait_for(lambda: not psutil.pid_exists(other), 'the end of the stage', seen=manager.show)
    wait_for(lambda: not psutil.pid_exists(surplus), 'the end of the surplus worker')
    observer.wait_until_active('work', 1)
    assert observer.pid_of('work/worker_0') == kept


def test_a_worker_found_stopped_is_replaced_at_once(start, observer):
    """Nobody waits for it to be heard."""
    manager = start({'stages': ['work'], 'work': stage('Work', workers=2)})
    observer.wait_until_active('work', 2)
    stopped, running = pids(observer, 'work/worker_0', 'work/worker_1')
    kill(manager)
    os.kill(stopped, signal.SIGSTOP)
    manager.start_again()
    wait_for(lambda: not psutil.pid_exists(stopped), 'its end', seen=manager.show)
    observer.wait_until_active('work', 2)
    assert observer.pid_of('work/worker_1') == running
