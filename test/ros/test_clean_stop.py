"""SIGINT and SIGTERM: drain, stop in order, leave nothing behind."""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from pathlib import Path

import pytest
from support.configuring import stage
from support.observing import header, number_of
from support.outside import COMMON

from worker_pipeline.runtime import dds
from worker_pipeline.testing import wait_for


def drains(observer) -> int:
    """How often the manager has said that it is shutting down."""
    said = [statuses['/airside/manager'].message for statuses in observer.diagnostics]
    return said.count('shuttingdown')


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize('group', [False, True], ids=['manager', 'group'])
def test_a_stop_signal_drains_and_ends_everything(start, observer, number, group):
    """Every accepted item is answered before the end, also when the whole group is signalled."""
    manager = start({'stages': ['work'], 'work': stage('Work', workers=2, queue_size=400)})
    answers = observer.collect('work/output')
    feed = observer.feeder('work/input')
    observer.wait_until_active('work', 2)
    for item in range(200):
        feed.publish(header(item))
    wait_for(lambda: len(answers) > 10, 'some answers')
    manager.signal(number, group=group)
    begun = time.monotonic()
    assert manager.wait() == 0, manager.output
    assert time.monotonic() - begun < 10.0 + 3.0
    assert manager.relatives() == []
    numbers = [number_of(each) for each in answers]
    assert numbers == list(range(len(numbers)))
    # The last diagnostics are published when all is drained: what was accepted was answered.
    wait_for(
        lambda: observer.count('work', 'accepted') == observer.count('work', 'completed') > 10,
        'the last diagnostics',
        seen=lambda: observer.values('work'),
    )
    wait_for(
        lambda: len(answers) == observer.count('work', 'accepted'),
        'an answer for every accepted item',
        seen=lambda: (len(answers), observer.values('work')),
    )


def test_a_stop_while_workers_still_start_ends_everything(start):
    """A signal may come at any moment, also before anybody is at work."""
    manager = start({'stages': ['slow'], 'slow': stage('SlowConfigure', params={'seconds': 30.0})})
    wait_for(lambda: len(manager.relatives()) >= 4, 'a worker process')
    manager.signal(signal.SIGINT)
    begun = time.monotonic()
    assert manager.wait() == 0, manager.output
    assert time.monotonic() - begun < 13.0
    assert manager.relatives() == []


def test_a_second_signal_does_not_wait_for_the_queue(start, observer):
    """Who signals twice is in a hurry: the queue is left, the end is in order."""
    manager = start(
        {
            'stages': ['work'],
            'shutdown_timeout': 30.0,
            'work': stage('Work', queue_size=1000, params={'seconds': 0.2}),
        }
    )
    feed = observer.feeder('work/input')
    observer.wait_until_active('work', 1)
    for item in range(500):
        feed.publish(header(item))
    wait_for(lambda: observer.count('work', 'queued') > 300, 'a long queue')
    manager.signal(signal.SIGINT)
    # Two within a second are one Ctrl-C. Diagnostics come once a second.
    wait_for(lambda: drains(observer) >= 3, 'the drain going on')
    manager.signal(signal.SIGINT)
    begun = time.monotonic()
    assert manager.wait() == 0, manager.output
    assert time.monotonic() - begun < 10.0
    assert 'ending with unfinished items (work: ' in manager.output
    assert manager.relatives() == []


def test_a_worker_that_hangs_does_not_hold_up_the_end(start, observer):
    """Past `shutdown_timeout` the signals get harder: the end comes 3 s later at the latest."""
    manager = start(
        {
            'stages': ['work'],
            'shutdown_timeout': 1.0,
            'work': stage('Work', task_timeout=60.0, params={'seconds': 60.0}),
        }
    )
    feed = observer.feeder('work/input')
    observer.wait_until_active('work', 1)
    feed.publish(header(1))
    wait_for(lambda: observer.count('work', 'in_flight') == 1, 'an item in work')
    manager.signal(signal.SIGTERM)
    begun = time.monotonic()
    assert manager.wait() == 0, manager.output
    assert time.monotonic() - begun < 1.0 + 3.0
    assert manager.relatives() == []


def test_nothing_is_left_in_shared_memory_after_kills_and_a_stop(start, observer, tmp_path):
    """Of Fast DDS's, where the user's own profile lets it; nor of the pipeline's own folder."""
    own = tmp_path / 'own.xml'
    shutil.copy(COMMON, own)
    manager = start(
        {'stages': ['picture'], 'picture': stage('Picture', workers=2)},
        environment={dds.profile_variable(): str(own)},
    )
    observer.wait_until_active('picture', 2)
    used = manager.shared_memory()
    assert used, 'there is something to clean up'
    assert manager.folder.exists()
    victim = observer.pid_of('picture/worker_0')
    os.kill(victim, signal.SIGKILL)
    observer.pid_of('picture/worker_0', but=victim)
    used |= manager.shared_memory()
    manager.signal(signal.SIGINT)
    assert manager.wait() == 0
    # Segments, the large ones. A port may be in use by others on this machine.
    segments = {name for name in used if re.search('_[0-9a-f]{16}$', name)}
    assert segments
    assert {name for name in segments if Path(name).exists()} == set()
    assert not manager.folder.exists()


def test_no_process_of_ours_uses_shared_memory_of_dds(start, observer):
    """There one that is killed can hold up those that live. With camera frames as without."""
    manager = start({'stages': ['picture'], 'picture': stage('Picture', workers=2)})
    observer.wait_until_active('picture', 2)
    assert len(manager.relatives()) > 3
    assert manager.shared_memory() == set()


def test_workers_without_a_manager_end_by_themselves(start, observer):
    """`orphan_timeout` after the manager's death its workers are gone."""
    manager = start({'stages': ['echo'], 'orphan_timeout': 1.0, 'echo': stage('Echo', workers=2)})
    observer.wait_until_active('echo', 2)
    manager.signal(signal.SIGKILL)
    wait_for(lambda: not manager.relatives(), 'the end of every worker', seen=manager.relatives)
