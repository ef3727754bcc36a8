# SPDX-License-Identifier: Apache-2.0
"""Items that workers fail on go to quarantine; workers that fail by themselves are reported."""

from __future__ import annotations

import itertools
import os
import signal
from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.serialization import deserialize_message
from std_msgs.msg import Header
from support.observer import Observer, header, number_of

from worker_pipeline.quarantine.store import read
from worker_pipeline.testing import wait_for

CAUSES = {
    'leave': 'exit code 3',
    'crash': 'killed by SIGSEGV',
    'fail': 'ValueError: cannot do it',
    'hang': 'an item took longer than 2 s',
    'hold_the_gil': 'no heartbeat for',
}


def fragile(**settings):
    return {
        'plugin': 'support.failing_stages:FailsOnRequest',
        'workers': 2,
        'queue_size': 1000,
        **settings,
    }


def poison(number, way='leave'):
    """An item that its worker fails on."""
    message = header(number)
    message.frame_id += f' {way}'
    return message


def values_of(status):
    return {entry.key: entry.value for entry in status.values}


def numbers(messages):
    return [number_of(each) for each in messages]


def quarantined_by_number(observer):
    """Return the announcements by the item's number, (cause, values)."""
    found = {}
    for status in observer.quarantined:
        values = values_of(status)
        sec, _, nanosec = values['stamp'].partition('.')
        stamp = Header()
        stamp.stamp.sec, stamp.stamp.nanosec = int(sec), int(nanosec)
        found[number_of(stamp)] = status.message, values
    assert len(found) == len(observer.quarantined), 'each is announced once'
    return found


def test_only_the_poison_item_is_quarantined_with_its_cause(start, observer, domain):
    """It is announced to late subscribers too, and stored as received; the order has no gap."""
    manager = start(
        {'stages': ['weak'], 'heartbeat_timeout': 1.0, 'weak': fragile(task_timeout=2.0)}
    )
    answers = observer.collect('weak/output')
    feed = observer.feeder('weak/input')
    observer.wait_until_active('weak', 2)
    ways = dict(zip(itertools.count(5, 3), CAUSES))
    items = [poison(n, ways[n]) if n in ways else header(n) for n in range(30)]
    for item in items:
        feed.publish(item)
    expected = [n for n in range(30) if n not in ways]
    wait_for(lambda: len(answers) >= len(expected), 'the others', seen=manager.show)
    assert numbers(answers) == expected
    wait_for(lambda: len(observer.quarantined) == len(ways), 'the announcements')
    wait_for(lambda: observer.count('weak', 'quarantined') == len(ways), 'the count')
    late = Observer(domain)
    wait_for(lambda: len(late.quarantined) == len(ways), 'the announcements, by who comes late')
    assert quarantined_by_number(late) == quarantined_by_number(observer)
    late.close()
    for number, (cause, values) in quarantined_by_number(observer).items():
        assert cause.startswith(CAUSES[ways[number]])
        assert (values['stage'], values['source'], values['attempts']) == ('weak', 'input', '2')
        wait_for(lambda path=values['file']: os.path.exists(path), 'the file')
        kept = read(Path(values['file']))
        assert str(manager.directory) in values['file']
        assert deserialize_message(kept.message, Header) == items[number]
        assert (kept.stage, kept.attempts, kept.cause) == ('weak', 2, cause)
    wait_for(lambda: observer.count('weak', 'completed') == len(expected), 'the others counted')


def test_prefetched_items_are_not_suspected(start, observer):
    """All items around the poison are answered, even with a single attempt."""
    manager = start({'stages': ['weak'], 'weak': fragile(workers=1, concurrency=8, max_attempts=1)})
    answers = observer.collect('weak/output')
    feed = observer.feeder('weak/input')
    observer.wait_until_active('weak', 1)
    bad = range(3, 40, 6)
    for number in range(40):
        feed.publish(poison(number) if number in bad else header(number))
    expected = [n for n in range(40) if n not in bad]
    wait_for(lambda: len(answers) >= len(expected), 'the others', seen=manager.show)
    assert numbers(answers) == expected
    wait_for(lambda: len(observer.quarantined) == len(bad), 'the announcements')
    found = quarantined_by_number(observer)
    assert sorted(found) == list(bad)
    assert {values['attempts'] for _, values in found.values()} == {'1'}
    wait_for(lambda: observer.count('weak', 'completed') == len(expected), 'the count')
    assert observer.count('weak', 'redelivered') >= len(bad)  # there were such neighbours


def test_restarts_caused_by_poison_do_not_count_against_a_slot(start, observer):
    """Ten of 100 items cost twenty workers; no slot fails, and others are not delayed."""
    manager = start({'stages': ['weak'], 'weak': fragile()})
    answers = observer.collect('weak/output')
    feed = observer.feeder('weak/input')
    observer.wait_until_active('weak', 2)
    bad = range(5, 100, 10)
    for number in range(100):
        feed.publish(poison(number) if number in bad else header(number))
    expected = [n for n in range(100) if n not in bad]
    wait_for(
        lambda: len(answers) >= len(expected),
        'the others',
        seen=lambda: (len(answers), manager.show()),
    )
    assert numbers(answers) == expected
    wait_for(lambda: len(observer.quarantined) == len(bad), 'the announcements')
    assert sorted(quarantined_by_number(observer)) == list(bad)
    observer.wait_until_active('weak', 2)
    told = {
        values_of(statuses[f'/airside/weak/worker_{index}'])['state']
        for statuses in observer.diagnostics
        for index in (0, 1)
    }
    assert 'failed' not in told

    def restarts() -> int:
        return sum(int(observer.values(f'weak/worker_{i}')['restarts']) for i in (0, 1))

    wait_for(lambda: restarts() == 20, 'twenty restarts told', seen=restarts)


def test_a_slot_that_keeps_dying_is_failed_until_it_recovers(start, observer):
    """It is reported as an error and still restarted; other workers continue."""
    manager = start(
        {
            'stages': ['weak'],
            'restart_limit': 2,
            'restart_window': 2.0,
            'restart_backoff_max': 3.0,
            'weak': fragile(),
        }
    )
    answers = observer.collect('weak/output')
    feed = observer.feeder('weak/input')
    observer.wait_until_active('weak', 2)
    other = observer.pid_of('weak/worker_1')
    killed = []

    def kill_until_failed():
        victim = observer.pid_of('weak/worker_0')
        if victim not in killed:
            killed.append(victim)
            os.kill(victim, signal.SIGKILL)
        return failed_status(observer)

    status = wait_for(kill_until_failed, 'the slot failed', seen=manager.show)
    assert len(killed) >= 3
    assert status.level == DiagnosticStatus.ERROR
    assert status.message == 'killed by SIGKILL'
    for number in range(50):
        feed.publish(header(number))
    wait_for(lambda: len(answers) == 50, 'the answers', seen=manager.show)
    # It is tried all the same.
    observer.wait_until_active('weak', 2)
    wait_for(
        lambda: observer.diagnostics[-1]['/airside/weak/worker_0'].level == DiagnosticStatus.OK,
        'that its death is past',
    )
    # After a while of health its deaths are forgotten: the next one is made good at once.
    heard = len(observer.diagnostics)
    wait_for(lambda: len(observer.diagnostics) >= heard + 4, 'some seconds of health')
    victim = observer.pid_of('weak/worker_0', but=killed[-1])
    restarts = int(observer.values('weak/worker_0')['restarts'])
    os.kill(victim, signal.SIGKILL)
    wait_for(
        lambda: int(observer.values('weak/worker_0')['restarts']) == restarts + 1, 'its restart'
    )
    observer.wait_until_active('weak', 2)
    assert all(failed_status(observer, each) is None for each in observer.diagnostics[heard:])
    assert observer.pid_of('weak/worker_1') == other
    assert numbers(answers) == list(range(50))


def failed_status(observer, statuses=None):
    """Return the status of worker_0 if it shows a failed slot, else None."""
    if statuses is None:
        if not observer.diagnostics:
            return None
        statuses = observer.diagnostics[-1]
    status = statuses['/airside/weak/worker_0']
    return status if values_of(status)['state'] == 'failed' else None


@pytest.mark.parametrize('restart_on_error', [False, True], ids=['worker lives on', 'worker goes'])
def test_an_item_that_raises_is_retried(start, observer, restart_on_error):
    """Attempts are counted the same, whether the exception costs the worker or not."""
    plugin = 'FailsOnRequestAndRestarts' if restart_on_error else 'FailsOnRequest'
    manager = start(
        {
            'stages': ['weak'],
            'weak': fragile(plugin=f'support.failing_stages:{plugin}', max_attempts=3),
        }
    )
    answers = observer.collect('weak/output')
    feed = observer.feeder('weak/input')
    observer.wait_until_active('weak', 2)
    for number in range(10):
        feed.publish(poison(number, 'fail') if number == 5 else header(number))
    wait_for(lambda: len(answers) == 9, 'the others', seen=manager.show)
    wait_for(lambda: observer.quarantined, 'the announcement', seen=manager.show)
    cause, values = quarantined_by_number(observer)[5]
    assert (cause, values['attempts']) == ('ValueError: cannot do it', '3')
    assert manager.output.count(' exited: ') == (3 if restart_on_error else 0)
