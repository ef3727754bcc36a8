# SPDX-License-Identifier: Apache-2.0
"""The messages on /diagnostics, as rqt_robot_monitor and rqt_runtime_monitor read it."""

from __future__ import annotations

import itertools
import os
import signal
import time

import psutil
from diagnostic_msgs.msg import DiagnosticStatus
from support.configuring import stage
from support.observer import header

from worker_pipeline.testing import wait_for

OK, WARN, ERROR, STALE = (
    DiagnosticStatus.OK,
    DiagnosticStatus.WARN,
    DiagnosticStatus.ERROR,
    DiagnosticStatus.STALE,
)

SHARED = {
    'replaced': stage('Echo', workers=2, queue_size=100),
    'echo': stage('Echo', workers=2),
    'complains': stage('Complains'),
}


def statuses(observer, name: str) -> list[DiagnosticStatus]:
    """A node's statuses, one after the other."""
    node = f'/airside/{name}'
    return [each[node] for each in observer.diagnostics if node in each]


def test_a_replacement_within_milliseconds_is_seen_by_who_looks_once_a_second(shared):
    """OK, WARN, OK: of the worker, its stage and the manager; and the counters are right."""
    observer = shared.observer
    answers = observer.collect('replaced/output')
    feed = observer.feeder('replaced/input')
    observer.wait_until_active('replaced', 2)
    for name in ('replaced/worker_0', 'replaced', 'manager'):
        observer.wait_for_status(name, OK, 'active')
    for number in range(20):
        feed.publish(header(number))
    wait_for(lambda: len(answers) == 20, 'the answers')
    os.kill(observer.pid_of('replaced/worker_0'), signal.SIGKILL)
    told = observer.wait_for_status('replaced/worker_0', WARN, 'replaced: killed by SIGKILL')
    assert {each.key: each.value for each in told.values}['state'] == 'active'
    observer.wait_for_status('replaced', WARN, '1 of 2 workers unhealthy')
    observer.wait_for_status('manager', WARN, 'replaced: 1 of 2 workers unhealthy')
    for name in ('replaced/worker_0', 'replaced', 'manager'):
        observer.wait_for_status(name, OK, 'active')
    assert observer.values('replaced/worker_0')['restarts'] == '1'
    assert observer.values('replaced/worker_1')['restarts'] == '0'
    assert observer.values('manager')['restarts'] == '1'
    assert observer.count('replaced', 'completed') == 20
    levels = [each.level for each in statuses(observer, 'replaced/worker_0') if each.level != STALE]
    assert [level for level, _ in itertools.groupby(levels)] == [OK, WARN, OK]


def test_silence_is_stale(start, observer):
    """Before it lasts so long that the worker is replaced."""
    start({'stages': ['echo'], 'heartbeat_timeout': 8.0, 'echo': stage('Echo')})
    observer.wait_until_active('echo', 1)
    pid = observer.pid_of('echo/worker_0')
    os.kill(pid, signal.SIGSTOP)
    observer.wait_for_status('echo/worker_0', STALE, 'no heartbeat for ')
    observer.wait_for_status('echo', WARN, '1 of 1 workers')
    os.kill(pid, signal.SIGCONT)
    observer.wait_for_status('echo/worker_0', OK, 'active')


def test_what_is_dropped_is_a_warning_while_it_goes_on(start, observer, tmp_path):
    """The message has the amount."""
    gated = stage(
        'Gated', queue_size=1, task_timeout=600.0, params={'gate': str(tmp_path / 'never')}
    )
    start({'stages': ['work'], 'work': gated})
    observer.wait_until_active('work', 1)
    feed = observer.feeder('work/input')
    for number in range(8):
        feed.publish(header(number))
    # One in work, one prefetched, one waits.
    observer.wait_for_status('work', WARN, '5 dropped')
    observer.wait_for_status('work', OK, 'active')
    assert observer.count('work', 'dropped') == 5


def test_what_is_paused_by_hand_is_told(shared):
    """A stage, a worker, all of it."""
    observer = shared.observer
    observer.wait_until_active('echo', 2)
    observer.wait_for_status('manager', OK, 'active')
    assert observer.change_state('echo', 'deactivate')
    observer.wait_for_status('echo', WARN, 'paused')
    observer.wait_for_status('manager', WARN, 'echo: paused')
    assert observer.change_state('echo', 'activate')
    assert observer.change_state('echo/worker_1', 'deactivate')
    observer.wait_for_status('echo/worker_1', WARN, 'cordoned')
    assert observer.change_state('echo/worker_1', 'activate')
    observer.wait_for_status('manager', OK, 'active')
    assert observer.change_state('manager', 'deactivate')
    observer.wait_for_status('manager', WARN, 'paused')
    assert observer.change_state('manager', 'activate')
    observer.wait_for_status('manager', OK, 'active')


def test_what_a_worker_takes_of_the_machine_is_what_the_kernel_tells(start, observer, tmp_path):
    """Busy is the time at items, whether it waits or reckons."""
    gate = tmp_path / 'gate'
    begun = time.monotonic()
    gated = stage('Gated', workers=2, concurrency=1, task_timeout=600.0, params={'gate': str(gate)})
    manager = start({'stages': ['work'], 'work': gated})
    observer.wait_until_active('work', 2)
    feed = observer.feeder('work/input')
    for number in range(2):
        feed.publish(header(number))
    wait_for(
        lambda: all(
            float(observer.values(f'work/worker_{index}').get('busy_percent', 0)) > 80
            for index in range(2)
        ),
        'that both are busy',
        seen=lambda: observer.values('work/worker_0'),
    )
    for name in ('work/worker_0', 'manager'):
        values = observer.values(name)
        process = psutil.Process(int(values['pid']))
        assert 0.5 < process.memory_info().rss / 1e6 / float(values['memory_mb']) < 2
        assert 0 <= float(values['cpu_percent']) < 150
    age = float(observer.values('work/worker_0')['age_s'])
    assert 0 < age < time.monotonic() - begun
    gate.touch()
    wait_for(lambda: observer.count('work', 'completed') == 2, 'the answers', seen=manager.show)
    wait_for(
        lambda: float(observer.values('work/worker_0')['busy_percent']) == 0.0, 'that it is idle'
    )


def test_what_a_stage_says_of_itself_is_in_its_workers_status(shared):
    """Until the stage withdraws it; its other values are shown too."""
    observer = shared.observer
    observer.wait_until_active('complains', 1)
    feed = observer.feeder('complains/input')
    item = header(1)
    item.frame_id = 'the link is silent'
    feed.publish(item)
    observer.wait_for_status('complains/worker_0', WARN, 'the link is silent')
    shown = observer.values('complains/worker_0')
    assert (shown['complaints'], shown['last']) == ('1', 'the link is silent')
    told = observer.wait_for_status('complains', WARN)
    assert 'the link is silent' in told.message
    item = header(2)
    item.frame_id = 'ok'
    feed.publish(item)
    observer.wait_for_status('complains/worker_0', OK, 'active')
    observer.wait_for_status('manager', OK, 'active')
