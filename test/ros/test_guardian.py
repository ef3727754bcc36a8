# SPDX-License-Identifier: Apache-2.0
"""The process that a user starts: it starts the manager again, and otherwise passes for it."""

from __future__ import annotations

import itertools
import os
import resource
import signal
import time
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
from std_msgs.msg import Header
from support.configuring import stage
from support.manager_process import ManagerProcess
from support.observer import header, number_of

from worker_pipeline.ros.dds_profile import LEASE
from worker_pipeline.system.proc import is_stopped, start_of
from worker_pipeline.testing import wait_for

ECHO = {'stages': ['echo'], 'journal': True, 'echo': stage('Echo', workers=2, queue_size=1000)}
WORKERS = ('echo/worker_0', 'echo/worker_1')
ACTIVE = 'every stage is active'


def pids_of(observer, *workers):
    return [observer.pid_of(worker) for worker in workers]


def fork_server_of(manager: ManagerProcess) -> int:
    return next(each.pid for each in manager.relatives() if each.name() == 'fork server')


def await_next(manager: ManagerProcess, killed: int, active: int = 2) -> int:
    """Wait until another manager than the killed one is active; returns its pid."""
    pid = manager.next_manager_pid(killed)
    wait_for(lambda: manager.output.count(ACTIVE) >= active, 'it to be active', seen=manager.show)
    return pid


def test_a_killed_manager_is_replaced_and_nothing_is_lost(start, observer):
    """By its guardian, again and again: the same workers, every item once, in order."""
    manager = start(ECHO)
    feed = observer.feeder('echo/input')
    heard = observer.collect('echo/output')
    observer.wait_until_active('echo', 2)
    before = pids_of(observer, *WORKERS)
    server = fork_server_of(manager)
    for kill in range(3):
        for number in range(50 * kill, 50 * kill + 50):
            feed.publish(header(number))
        wait_for(lambda kill=kill: len({*map(number_of, heard)}) > 50 * kill + 10, 'some answers')
        matches = observer.matches('echo/input')
        await_next(manager, manager.kill_manager(), kill + 2)
        wait_for(
            lambda kill=kill: {*map(number_of, heard)} == {*range(50 * kill + 50)},
            'every item',
            seen=manager.show,
        )
        wait_for(lambda matches=matches: observer.matches('echo/input') > matches, 'it to listen')
    assert manager.process.poll() is None
    assert pids_of(observer, *WORKERS) == before
    assert fork_server_of(manager) == server
    assert 'killed by SIGKILL; starting another one' in manager.output
    assert 'Traceback' not in manager.output
    manager.signal(signal.SIGINT)
    assert manager.wait() == 0
    assert manager.relatives() == []
    assert not manager.folder.exists()


@pytest.mark.slow
def test_a_manager_that_others_have_forgotten_hands_over_and_nothing_is_lost(start, observer):
    """After a pause longer than its lease another one does its work, and no worker dies.

    Without a journal: the items that wait are handed over too.
    """
    work = stage('Work', workers=2, queue_size=1000, params={'seconds': 0.02})
    manager = start({'stages': ['echo'], 'echo': work})
    feed, heard = observer.feeder('echo/input'), observer.collect('echo/output')
    observer.wait_until_active('echo', 2)
    workers, pid = pids_of(observer, *WORKERS), manager.manager_pid
    for number in range(600):
        feed.publish(header(number))
    wait_for(lambda: len(heard) > 10, 'some answers', seen=manager.show)
    os.kill(pid, signal.SIGSTOP)
    time.sleep(LEASE + 1.0)
    os.kill(pid, signal.SIGCONT)
    await_next(manager, pid)
    wait_for(lambda: {*map(number_of, heard)} == {*range(600)}, 'every item', seen=manager.show)
    assert pids_of(observer, *WORKERS) == workers
    assert 'another manager takes over' in manager.output
    assert 'starting another one' not in manager.output, 'it has not died'
    matches = observer.matches('echo/input')
    wait_for(lambda: matches or observer.matches('echo/input'), 'it to listen')
    manager.signal(signal.SIGINT)
    assert manager.wait() == 0
    assert manager.relatives() == []


@pytest.mark.slow
def test_workers_that_may_miss_their_contexts_after_a_pause_are_replaced(start, observer):
    """The whole pipeline stands still: one after the other, and nothing is lost."""
    work = stage('WithContext', workers=2, context={'reference': '/reference'}, queue_size=1000)
    manager = start({'stages': ['echo'], 'echo': work})
    feed, heard = observer.feeder('echo/input'), observer.collect('echo/output')
    reference = observer.node.create_publisher(Header, '/reference', 10)
    observer.wait_until_active('echo', 2)
    numbers = itertools.count(1)

    def is_answered(name: str) -> bool:
        number = next(numbers)
        placed = header(number)
        placed.frame_id = name
        reference.publish(placed)
        feed.publish(header(number))
        return any(name in each.frame_id for each in heard)

    wait_for(lambda: is_answered('before'), 'an answer with its context', seen=manager.show)
    workers, pid = pids_of(observer, *WORKERS), manager.manager_pid
    stopped = [pid, *workers]
    for each in stopped:
        os.kill(each, signal.SIGSTOP)
    time.sleep(LEASE + 1.0)
    for each in stopped:
        os.kill(each, signal.SIGCONT)
    await_next(manager, pid)
    wait_for(
        lambda: not {*workers} & {*pids_of(observer, *WORKERS)}, 'other workers', seen=manager.show
    )
    assert manager.output.count('and may miss contexts from outside') == 2
    assert 'requeued' not in manager.output, 'none has died'
    wait_for(lambda: is_answered('after'), 'an answer with its context', seen=manager.show)
    assert observer.count('echo', 'quarantined') == 0


def test_a_killed_guardian_takes_its_manager_with_it_and_the_workers_live_on(start, observer):
    """As when the manager is killed without one; the next start adopts them."""
    manager = start(ECHO)
    observer.wait_until_active('echo', 2)
    before = pids_of(observer, *WORKERS)
    pid, server = manager.manager_pid, fork_server_of(manager)
    manager.signal(signal.SIGKILL)
    assert manager.wait() == -signal.SIGKILL
    wait_for(lambda: start_of(pid) is None, 'the end of the manager')
    assert all(start_of(each) for each in (*before, server))
    manager.start_again()
    await_next(manager, pid)
    observer.diagnostics.clear()
    observer.wait_until_active('echo', 2)
    assert pids_of(observer, *WORKERS) == before
    manager.signal(signal.SIGINT)
    assert manager.wait() == 0
    wait_for(lambda: manager.relatives() == [], 'the end of the first fork server')
    assert not manager.folder.exists()


@pytest.mark.parametrize('victims', [('manager', 'server'), ('server', 'manager'), ('server',)])
def test_the_fork_server_may_be_killed_too(start, observer, victims):
    """Workers are forked from the next one at once."""
    manager = start(ECHO)
    feed = observer.feeder('echo/input')
    heard = observer.collect('echo/output')
    observer.wait_until_active('echo', 2)
    before = pids_of(observer, *WORKERS)
    pids = {'manager': manager.manager_pid, 'server': fork_server_of(manager)}
    for victim in victims:
        os.kill(pids[victim], signal.SIGKILL)
    if 'manager' in victims:
        await_next(manager, pids['manager'])
    os.kill(before[0], signal.SIGKILL)
    observer.wait_until_replaced('echo/worker_0', before[0])
    assert pids_of(observer, *WORKERS)[1] == before[1]
    server = fork_server_of(manager)
    assert server != pids['server']
    assert psutil.Process(server).ppid() == manager.process.pid, 'forked, as imports take long'
    feed.publish(header(1))
    wait_for(lambda: heard, 'an answer', seen=manager.show)
    manager.signal(signal.SIGINT)
    assert manager.wait() == 0
    assert manager.relatives() == []


@pytest.mark.parametrize('spares', [0, 1])
def test_a_stopped_fork_server_holds_no_healthy_worker_up(start, observer, spares):
    """It is replaced when it is needed: an item is answered, and the dead worker is back."""
    manager = start({**ECHO, 'spares': spares})
    feed = observer.feeder('echo/input')
    heard = observer.collect('echo/output')
    observer.wait_until_active('echo', 2)
    if spares:
        wait_for(lambda: observer.count('manager', 'spares') == spares, 'the spare')
    server, before = fork_server_of(manager), pids_of(observer, *WORKERS)
    os.kill(server, signal.SIGSTOP)
    wait_for(lambda: is_stopped(server), 'the stop')
    begin, longest, number = time.monotonic(), 0.0, 0
    for victim in before:
        os.kill(victim, signal.SIGKILL)
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            sent = time.monotonic()
            feed.publish(header(number))
            wait_for(lambda: len(heard) > number, 'the answer', seen=manager.show)  # noqa: B023
            longest, number = max(longest, time.monotonic() - sent), number + 1
    assert longest < 5.0, f'{longest:.2f} s'
    for worker, victim in zip(WORKERS, before, strict=True):
        observer.wait_until_replaced(worker, victim)
    assert [number_of(each) for each in heard] == [*range(number)]
    assert time.monotonic() - begin < 40.0
    manager.signal(signal.SIGINT)
    assert manager.wait() == 0
    assert manager.relatives() == []


def test_a_guardian_without_a_free_descriptor_starts_the_next_manager_later(start, observer):
    """When it can open files again."""
    manager = start({**ECHO, 'orphan_timeout': 600.0})
    observer.wait_until_active('echo', 2)
    before, guardian = pids_of(observer, *WORKERS), manager.process.pid
    limit = resource.prlimit(guardian, resource.RLIMIT_NOFILE)
    used = {int(each) for each in os.listdir(f'/proc/{guardian}/fd')}
    free = next(number for number in range(1000) if number not in used)
    resource.prlimit(guardian, resource.RLIMIT_NOFILE, (free, limit[1]))
    killed = manager.kill_manager()
    wait_for(lambda: 'manager: cannot be started: ' in manager.output, 'it', seen=manager.show)
    assert manager.process.poll() is None
    resource.prlimit(guardian, resource.RLIMIT_NOFILE, limit)
    await_next(manager, killed)
    assert pids_of(observer, *WORKERS) == before
    manager.signal(signal.SIGINT)
    assert manager.wait() == 0
    assert manager.relatives() == []


def test_a_stopped_guardian_disturbs_nobody(start, observer):
    """The manager works on; what happened meanwhile is acted on when the guardian continues."""
    manager = start(ECHO)
    feed = observer.feeder('echo/input')
    heard = observer.collect('echo/output')
    observer.wait_until_active('echo', 2)
    before, pid = pids_of(observer, *WORKERS), manager.manager_pid
    manager.signal(signal.SIGSTOP)
    wait_for(lambda: is_stopped(manager.process.pid), 'the stop')
    os.kill(fork_server_of(manager), signal.SIGKILL)  # which the manager replaces by itself
    os.kill(before[0], signal.SIGKILL)
    observer.wait_until_replaced('echo/worker_0', before[0])
    feed.publish(header(1))
    wait_for(lambda: heard, 'an answer', seen=manager.show)
    assert manager.kill_manager() == pid
    manager.signal(signal.SIGCONT)
    await_next(manager, pid)
    assert pids_of(observer, *WORKERS)[1] == before[1]
    manager.signal(signal.SIGTERM)
    assert manager.wait() == 0
    wait_for(lambda: manager.relatives() == [], 'the end of the fork server that it had started')


@pytest.fixture
def end(tmp_path: Path) -> Path:
    """The file that says how managers end at their start."""
    return tmp_path / 'end'


def mortal(start, end: Path, **parameters) -> ManagerProcess:
    environment = {'MANAGER_END': str(end)}
    return start({**ECHO, **parameters}, module='support.mortal_manager', environment=environment)


def ends(end: Path) -> list[float]:
    """When managers have ended so, s."""
    file = end.with_suffix('.ends')
    return [float(line) for line in file.read_text().splitlines()] if file.exists() else []


@pytest.mark.parametrize('code', [0, 1, 2, 3, 70])
def test_the_exit_code_of_a_first_start_is_passed_on(start, end, code):
    """One attempt, as without a guardian: somebody sees it, or starts it again."""
    end.write_text(str(code))
    manager = mortal(start, end)
    assert manager.wait() == code
    assert len(ends(end)) == 1
    assert manager.relatives() == []


def test_a_first_start_that_crashes_again_and_again_ends_by_its_signal(start, end):
    """After some attempts."""
    end.write_text(str(-signal.SIGSEGV))
    manager = mortal(start, end)
    assert manager.wait() == -signal.SIGSEGV, manager.output
    assert len(ends(end)) == 6
    assert manager.relatives() == []


@pytest.mark.parametrize('code', [2, 3])
def test_a_permanent_cause_ends_a_running_pipeline(start, end, observer, code):
    """Such as a parameter file that was changed into a wrong one."""
    manager = mortal(start, end, orphan_timeout=1.0)
    observer.wait_until_active('echo', 2)
    end.write_text(str(code))
    manager.kill_manager()
    assert manager.wait() == code
    wait_for(lambda: manager.relatives() == [], 'the end of the workers')


@pytest.mark.parametrize('code', [1, -signal.SIGKILL])
def test_a_running_pipeline_is_kept_running_with_growing_pauses(start, end, observer, code):
    """Whether a start fails for a passing cause or crashes; the workers are still the same."""
    manager = mortal(start, end, orphan_timeout=60.0)
    observer.wait_until_active('echo', 2)
    before = pids_of(observer, *WORKERS)
    end.write_text(str(code))
    killed = manager.kill_manager()
    wait_for(lambda: len(ends(end)) >= 5, 'some attempts', seen=manager.show)
    times = ends(end)
    pauses = [later - sooner for sooner, later in pairwise(times)]
    assert pauses[3] > 0.35, pauses
    end.unlink()
    await_next(manager, killed)
    assert pids_of(observer, *WORKERS) == before
    assert manager.output.count('starting another one') == 1, 'one line for all of it'
    manager.signal(signal.SIGINT)
    assert manager.wait() == 0
    assert manager.relatives() == []


def test_a_stop_signal_while_there_is_no_manager_stops_the_pipeline(start, end, observer):
    """One more manager is started at once, which shuts the workers down."""
    manager = mortal(start, end, orphan_timeout=600.0)
    observer.wait_until_active('echo', 2)
    before = pids_of(observer, *WORKERS)
    end.write_text('-9')
    manager.kill_manager()
    wait_for(lambda: len(ends(end)) >= 6, 'a long pause', seen=manager.show)
    end.unlink()
    manager.signal(signal.SIGINT)
    assert manager.wait(20.0) == 0, manager.output
    assert not any(start_of(each) for each in before)
    assert manager.relatives() == []
    assert not manager.folder.exists()
