# SPDX-License-Identifier: Apache-2.0
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
from support.external_node import COMMON
from support.observer import header, number_of

from worker_pipeline.ros import dds
from worker_pipeline.testing import wait_for


@pytest.mark.parametrize(
    ('number', 'group'),
    [
        (signal.SIGINT, False),
        (signal.SIGINT, True),
        (signal.SIGTERM, True),
        (signal.SIGHUP, True),
    ],
    ids=['SIGINT', 'SIGINT to all', 'SIGTERM to all', 'SIGHUP to all'],
)
def test_a_stop_signal_drains_the_pipeline_and_ends_all_processes(start, observer, number, group):
    """Also when the whole process group is signalled."""
    manager = start({'stages': ['work'], 'work': stage('Work', workers=2, queue_size=400)})
    answers = observer.collect('work/output')
    feed = observer.feeder('work/input')
    observer.wait_until_active('work', 2)
    for item in range(200):
        feed.publish(header(item))
    wait_for(lambda: len(answers) > 10, 'some answers')
    manager.signal(number, group=group)
    assert manager.wait() == 0, manager.output
    assert manager.relatives() == []
    numbers = [number_of(each) for each in answers]
    assert numbers == list(range(len(numbers)))
    # The last diagnostics are published when all is drained: every accepted item was answered.
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


def is_caught(pid: int, number: signal.Signals) -> bool:
    """Return whether a process has a handler for a signal."""
    status = Path(f'/proc/{pid}/status').read_text()
    (caught,) = re.findall(r'^SigCgt:\s*(\w+)$', status, re.MULTILINE)
    return bool(int(caught, 16) >> (number - 1) & 1)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_stop_signal_during_the_imports_stops_the_manager_cleanly(start, number):
    """Nothing is printed; nothing is left."""
    manager = start({'stages': ['echo'], 'echo': stage('Echo')})
    # Unlike SIGINT, Python itself has no handler for it: the manager has begun to keep signals.
    wait_for(lambda: is_caught(manager.process.pid, signal.SIGHUP), 'the handler')
    manager.signal(number)
    assert manager.wait() == 0, manager.output
    assert 'Traceback' not in manager.output
    assert manager.relatives() == []


def test_a_stop_signal_during_start_up_ends_all_processes(start):
    """Before any worker is active; they are not waited for."""
    slow = stage('SlowConfigure', startup_timeout=600.0, params={'seconds': 600.0})
    manager = start({'stages': ['slow'], 'shutdown_timeout': 1.0, 'slow': slow})
    wait_for(lambda: len(manager.relatives()) >= 3, 'a worker process')
    manager.signal(signal.SIGINT)
    assert manager.wait() == 0, manager.output
    assert manager.relatives() == []


def test_a_second_signal_stops_without_draining(start, observer):
    """Queued items are left; the shutdown is clean."""
    manager = start(
        {
            'stages': ['work'],
            'shutdown_timeout': 300.0,
            'work': stage('Remembers', queue_size=1000, params={'seconds': 0.5}),
        }
    )
    feed = observer.feeder('work/input')
    observer.wait_until_active('work', 1)
    for item in range(500):
        feed.publish(header(item))
    wait_for(lambda: observer.count('work', 'queued') > 300, 'a long queue')
    manager.signal(signal.SIGINT)
    told = r'stopping: finishing (\d+) items, for up to 300 s; a second signal'
    wait_for(lambda: re.search(told, manager.output), 'the drain', seen=manager.show)
    # Two within a second are one Ctrl-C.
    begun = time.monotonic()
    wait_for(lambda: time.monotonic() - begun > 1.1, 'a second')
    manager.signal(signal.SIGINT)
    assert manager.wait() == 0, manager.output
    finishing = re.search(told, manager.output)
    assert finishing, manager.output
    assert 'stopping with unfinished items (work: ' in manager.output
    unfinished = re.search(r'work: .* quarantined, (\d+) unfinished', manager.output)
    assert unfinished, manager.output
    assert 0 < int(unfinished[1]) <= int(finishing[1])
    assert manager.relatives() == []


def test_a_hanging_worker_does_not_hang_the_shutdown(start, observer):
    """After ``shutdown_timeout`` it is terminated, then killed: in 3 s if the machine is idle."""
    manager = start(
        {
            'stages': ['work'],
            'shutdown_timeout': 1.0,
            'work': stage('Remembers', task_timeout=600.0, params={'seconds': 600.0}),
        }
    )
    feed = observer.feeder('work/input')
    observer.wait_until_active('work', 1)
    feed.publish(header(1))
    wait_for(lambda: observer.count('work', 'in_flight') == 1, 'an item in work')
    manager.signal(signal.SIGTERM)
    assert manager.wait() == 0, manager.output
    assert manager.relatives() == []


def test_nothing_is_left_in_shared_memory_after_kills_and_a_stop(start, observer, tmp_path):
    """Neither of Fast DDS, where the user's profile uses it, nor of the pipeline."""
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


def test_no_process_uses_the_shared_memory_of_dds(start, observer):
    """A killed process can block live ones there. With camera frames as without."""
    manager = start({'stages': ['picture'], 'picture': stage('Picture', workers=2)})
    observer.wait_until_active('picture', 2)
    assert len(manager.relatives()) > 3
    assert manager.shared_memory() == set()
