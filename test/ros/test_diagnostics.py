"""What is said on /diagnostics, as rqt_robot_monitor and rqt_runtime_monitor read it."""

from __future__ import annotations

import itertools
import os
import signal

import psutil
from diagnostic_msgs.msg import DiagnosticStatus
from support.configuring import stage
from support.observing import header

from worker_pipeline.testing import wait_for

OK, WARN, ERROR, STALE = (
    DiagnosticStatus.OK,
    DiagnosticStatus.WARN,
    DiagnosticStatus.ERROR,
    DiagnosticStatus.STALE,
)


def statuses(observer, name: str) -> list[DiagnosticStatus]:
    """A node's statuses, one after the other."""
    node = f'/airside/{name}'
    return [each[node] for each in observer.diagnostics if node in each]


def test_a_replacement_within_milliseconds_is_seen_by_who_looks_once_a_second(start, observer):
    """OK, WARN, OK: of the worker, its stage and the manager; and what was counted is right."""
    start({'stages': ['echo'], 'echo': stage('Echo', workers=2, queue_size=100)})
    answers = observer.collect('echo/output')
    feed = observer.feeder('echo/input')
    observer.wait_until_active('echo', 2)
    for name in ('echo/worker_0', 'echo', 'manager'):
        observer.wait_for_status(name, OK, 'active')
    for number in range(20):
        feed.publish(header(number))
    wait_for(lambda: len(answers) == 20, 'the answers')
    os.kill(observer.pid_of('echo/worker_0'), signal.SIGKILL)
    told = observer.wait_for_status('echo/worker_0', WARN, 'replaced: killed by SIGKILL')
    assert {each.key: each.value for each in told.values}['state'] == 'active'
    observer.wait_for_status('echo', WARN, '1 of 2 workers not as they should be')
    observer.wait_for_status('manager', WARN, 'echo: 1 of 2 workers not as they should be')
    for name in ('echo/worker_0', 'echo', 'manager'):
        observer.wait_for_status(name, OK, 'active')
    assert observer.values('echo/worker_0')['restarts'] == '1'
    assert observer.values('echo/worker_1')['restarts'] == '0'
    assert observer.values('manager')['restarts'] == '1'
    assert observer.count('echo', 'completed') == 20
    levels = [each.level for each in statuses(observer, 'echo/worker_0') if each.level != STALE]
    assert [level for level, _ in itertools.groupby(levels)] == [OK, WARN, OK]


def test_silence_is_stale(start, observer):
    """Before it lasts so long that the worker is replaced."""
    start(
        {'stages': ['echo'], 'heartbeat_timeout': 5.0, 'echo': stage('Echo')},
    )
    observer.wait_until_active('echo', 1)
    pid = observer.pid_of('echo/worker_0')
    os.kill(pid, signal.SIGSTOP)
    observer.wait_for_status('echo/worker_0', STALE, 'no heartbeat for ')
    observer.wait_for_status('echo', WARN, '1 of 1 workers')
    os.kill(pid, signal.SIGCONT)
    observer.wait_for_status('echo/worker_0', OK, 'active')


def test_what_is_dropped_is_a_warning_while_it_goes_on(start, observer):
    """And says how much."""
    start({'stages': ['work'], 'work': stage('Work', queue_size=1, params={'seconds': 0.5})})
    observer.wait_until_active('work', 1)
    feed = observer.feeder('work/input')
    for number in range(8):
        feed.publish(header(number))
    # One in work, one prefetched, one waits.
    observer.wait_for_status('work', WARN, '5 dropped')
    observer.wait_for_status('work', OK, 'active')
    assert observer.count('work', 'dropped') == 5


def test_what_is_paused_by_hand_is_told(start, observer):
    """A stage, a worker, all of it."""
    start({'stages': ['echo'], 'echo': stage('Echo', workers=2)})
    observer.wait_until_active('echo', 2)
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


def test_what_a_worker_takes_of_the_machine_is_what_the_kernel_tells(start, observer):
    """Busy is the time at items, whether it waits or reckons."""
    manager = start(
        {
            'stages': ['work'],
            'work': stage('Work', workers=2, queue_size=1000, params={'seconds': 0.05}),
        }
    )
    observer.wait_until_active('work', 2)
    feed = observer.feeder('work/input')
    for number in range(200):
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
    assert 0 < float(observer.values('work/worker_0')['age_s']) < 60
    wait_for(lambda: observer.count('work', 'completed') == 200, 'the answers', seen=manager.show)
    wait_for(
        lambda: float(observer.values('work/worker_0')['busy_percent']) == 0.0, 'that it is idle'
    )


def test_what_a_stage_says_of_itself_is_in_its_workers_status(start, observer):
    """Until it takes it back; and whatever else it shows."""
    start({'stages': ['complains'], 'complains': stage('Complains')})
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
