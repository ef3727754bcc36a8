# SPDX-License-Identifier: Apache-2.0
"""The manager is killed: its workers live on, and the next one continues with them."""

from __future__ import annotations

import os
import shutil
import signal
import time
from itertools import pairwise

import psutil
import pytest
from support.configuring import stage
from support.observer import header, number_of

from worker_pipeline.exit_codes import EXIT_ALREADY_RUNNING
from worker_pipeline.recovery.saved_state import SavedState
from worker_pipeline.testing import wait_for


def kill(manager):
    manager.signal(signal.SIGKILL)
    manager.wait()


def start_again(manager, observer, topic):
    """Start the next manager, and wait until the feeder of the topic is matched with it."""
    matches = observer.matches(topic)
    manager.start_again()
    wait_for(
        lambda: observer.matches(topic) > matches, 'the next manager to listen', seen=manager.show
    )


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
    """The same processes continue; no in-flight item is lost or duplicated."""
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
    start_again(manager, observer, 'first/input')
    wait_for(lambda: manager.output.count('every stage is active') == 2, 'the stages at work again')
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
    if journal:
        # Diagnostics come on a topic of their own and may arrive before the last items.
        wait_for(
            lambda: {number_of(message) for message in heard} == set(range(100)),
            'every item',
            seen=manager.show,
        )
    numbers = [number_of(message) for message in heard]
    if journal:
        # Those that had not acknowledged the last ones receive them once more.
        repeated = len(numbers) - len(set(numbers))
        again = next((i for i, pair in enumerate(pairwise(numbers), 1) if pair[1] <= pair[0]), 0)
        numbers = numbers[:again] + numbers[again + repeated :] if again else numbers
    assert numbers == sorted(set(numbers))
    count, total = (int(each) for each in heard[-1].frame_id.split())
    if journal:
        assert numbers == list(range(100))
        assert count == 100
        assert total == sum((number + 1) * 1_000_000 for number in range(100))
        wait_for(lambda: observer.count('second', 'delivered') == 100, 'the count')
    feed.publish(header(200))
    wait_for(lambda: number_of(heard[-1]) == 200, 'an item for the new manager')
    assert manager.output.count('Traceback') == 0


def held(**settings):
    """Return a stage whose items are held until a file exists."""
    return stage('Gated', task_timeout=600.0, **settings)


def test_an_active_item_is_finished_and_not_processed_again(start, observer, tmp_path):
    """Without a journal: items held while there was no manager are answered once."""
    gate = tmp_path / 'gate'
    manager = start({'stages': ['work'], 'work': held(concurrency=2, params={'gate': str(gate)})})
    feed = observer.feeder('work/input')
    heard = observer.collect('work/output')
    observer.wait_until_active('work', 1)
    pid = observer.pid_of('work/worker_0')
    for number in range(2):
        feed.publish(header(number))
    wait_for(lambda: observer.heartbeats[-1].values[2].value == '2', 'two items held')
    kill(manager)
    gate.touch()
    manager.start_again()
    wait_for(lambda: len(heard) == 2, 'both answers', seen=manager.show)
    assert [number_of(message) for message in heard] == [0, 1]
    assert {int(message.frame_id.split()[1]) for message in heard} == {pid}


def test_a_worker_that_dies_without_a_manager_is_replaced_and_loses_nothing(
    start, observer, tmp_path
):
    """Also without a journal: the worker has saved its unanswered items for the next manager."""
    gate = tmp_path / 'gate'
    manager = start({'stages': ['work'], 'work': held(params={'gate': str(gate)})})
    feed = observer.feeder('work/input')
    heard = observer.collect('work/output')
    observer.wait_until_active('work', 1)
    pid = observer.pid_of('work/worker_0')
    for number in range(2):
        feed.publish(header(number))
    wait_for(lambda: observer.heartbeats[-1].values[2].value == '2', 'two items held')
    kill(manager)
    wait_for(lambda: list((manager.folder / 'workers').glob('*.snapshot')), 'the items kept')
    os.kill(pid, signal.SIGKILL)
    gate.touch()
    manager.start_again()
    wait_for(lambda: len(heard) == 2, 'both answers', seen=manager.show)
    assert [number_of(message) for message in heard] == [0, 1]
    assert pid not in {int(message.frame_id.split()[1]) for message in heard}


def test_items_in_the_saved_state_of_a_dead_worker_are_completed(start, observer):
    """Their answers are saved with the state, though no manager received them."""
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
    start_again(manager, observer, 'work/input')
    wait_for(lambda: heard, 'the answer', seen=manager.show)
    observer.pid_of('work/worker_0', but=pid)
    feed.publish(header(1))
    wait_for(lambda: len(heard) == 2, 'an item for the next one', seen=manager.show)
    assert [message.frame_id for message in heard] == ['1 1000000', '2 3000000']


def test_a_second_manager_is_refused(start, observer):
    """Its error names the first one's pid, and the pipeline is not affected."""
    manager = start({'stages': ['echo'], 'echo': stage('Echo')})
    observer.wait_until_active('echo', 1)
    pid = observer.pid_of('echo/worker_0')
    second = start({'stages': ['echo'], 'echo': stage('Echo')}, 'second')
    assert second.wait() == EXIT_ALREADY_RUNNING
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


def test_workers_exit_without_a_manager(start, observer):
    """After ``orphan_timeout``; nothing is left behind."""
    manager = start({'stages': ['echo'], 'orphan_timeout': 1.0, 'echo': stage('Echo', workers=2)})
    observer.wait_until_active('echo', 2)
    killed = time.monotonic()
    kill(manager)
    wait_for(lambda: not manager.relatives(), 'the end of the workers')
    assert time.monotonic() - killed > 0.8
    assert manager.output.count('no manager for 1 s') == 2


def holding_program(start, observer, tmp_path):
    """Start a stage whose program has a lock; kill manager and fork server. Return the worker."""
    plugin = 'support.holding_stages:ProgramHolds'
    settings = {'plugin': plugin, 'params': {'lock': str(tmp_path / 'lock')}}
    manager = start({'stages': ['holds'], 'orphan_timeout': 1.0, 'holds': settings})
    observer.wait_until_active('holds', 1)
    worker = psutil.Process(observer.pid_of('holds/worker_0'))
    server = worker.parent()
    assert server is not None
    kill(manager)
    server.kill()
    return manager, worker


def test_workers_without_a_manager_and_a_fork_server_end_what_they_have_started(
    start, observer, tmp_path
):
    """Nothing is left behind then either."""
    manager, _ = holding_program(start, observer, tmp_path)
    wait_for(lambda: not manager.relatives(), 'the end of all', seen=manager.show)
    assert 'holds/worker_0 left 1 process behind: sleep (pid ' in manager.output


def test_the_next_manager_ends_what_workers_have_left_that_were_killed_with_all(
    start, observer, tmp_path
):
    """The stage could not start otherwise: the program has what it needs."""
    manager, worker = holding_program(start, observer, tmp_path)
    worker.kill()
    observer.diagnostics.clear()
    manager.start_again()
    observer.wait_until_active('holds', 1)
    assert 'holds/worker_0 of an earlier manager left 1 process behind: sleep' in manager.output


def test_workers_whose_liveness_records_were_removed_exit(start, observer):
    """Someone has cleared shared memory: the next manager starts new workers."""
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
    assert manager.output.count('its liveness record was removed; exiting') == 2


def test_a_changed_configuration_replaces_workers_one_by_one(start, observer):
    """Those with the old configuration finish their items first."""
    parameters = {
        'stages': ['work'],
        'work': stage('Work', workers=2, params={'mark': 'old'}),
    }
    manager = start(parameters)
    observer.wait_until_active('work', 2)
    before = set(pids(observer, 'work/worker_0', 'work/worker_1'))
    feed = observer.feeder('work/input')
    kill(manager)
    parameters['work']['params']['mark'] = 'new'
    manager.write(parameters)
    start_again(manager, observer, 'work/input')
    heard = observer.collect('work/output')

    def replaced():
        return before.isdisjoint(
            int(observer.values(f'work/worker_{index}').get('pid') or 0) for index in range(2)
        )

    wait_for(replaced, 'two other workers', seen=manager.show)
    observer.wait_until_active('work', 2)
    assert manager.output.count('replacing it for its new configuration') == 2
    for number in range(10):
        feed.publish(header(number))
    wait_for(lambda: len(heard) == 10, 'the items')
    assert {message.frame_id.split()[2] for message in heard} == {'new'}
    assert observer.values('manager')['restarts'] == '0'


def test_a_changed_configuration_loses_no_item(start, observer):
    """Also with a single slow worker: its replacement is ready before it exits."""
    parameters = {
        'stages': ['slow'],
        'slow': stage('SlowConfigure', params={'seconds': 0.0}),
    }
    manager = start(parameters)
    observer.wait_until_active('slow', 1)
    before = observer.pid_of('slow/worker_0')
    feed = observer.feeder('slow/input')
    kill(manager)
    parameters['slow']['params']['seconds'] = 3.0
    manager.write(parameters)
    observer.diagnostics.clear()
    start_again(manager, observer, 'slow/input')
    answers = observer.collect('slow/output')
    observer.wait_until_active('slow', 1)
    first = len(observer.diagnostics)

    def is_done() -> bool:
        status = observer.values('slow/worker_0')
        is_anew = int(status.get('pid') or before) != before and status['state'] == 'active'
        return is_anew and observer.values('manager')['workers'] == '1'

    deadline = time.monotonic() + 60.0
    number = 0
    while not is_done():
        assert time.monotonic() < deadline, manager.output
        number += 1
        feed.publish(header(number))
        wait_for(lambda number=number: len(answers) == number, 'an answer', seen=manager.show)
    # A stage that waited for its new worker to configure would have none for some seconds.
    active = [
        entry.value
        for each in observer.diagnostics[first:]
        for entry in each['/airside/slow'].values
        if entry.key == 'workers_active'
    ]
    assert '0' not in active
    assert [number_of(each) for each in answers] == list(range(1, number + 1))
    wait_for(lambda: 'worker_1 takes over from worker_0' in manager.output, 'a word of it')
    assert observer.values('manager')['restarts'] == '0'


def test_workers_and_stages_that_are_no_longer_configured_are_stopped(start, observer):
    """Their items are dropped, with a warning."""
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
    """Without waiting for another heartbeat timeout."""
    manager = start(
        {'stages': ['work'], 'heartbeat_timeout': 1.0, 'work': stage('Work', workers=2)}
    )
    observer.wait_until_active('work', 2)
    stopped, running = pids(observer, 'work/worker_0', 'work/worker_1')
    kill(manager)
    os.kill(stopped, signal.SIGSTOP)
    manager.start_again()
    wait_for(lambda: not psutil.pid_exists(stopped), 'its end', seen=manager.show)
    observer.wait_until_active('work', 2)
    assert observer.pid_of('work/worker_1') == running
