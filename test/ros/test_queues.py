# SPDX-License-Identifier: Apache-2.0
"""The queues of real stages: drops, back pressure, fan-out and fan-in."""

from __future__ import annotations

import os
import signal

from support.configuring import stage
from support.observer import header, number_of

from worker_pipeline.testing import wait_for


def numbers(messages):
    return [number_of(each) for each in messages]


def test_a_full_queue_drops_its_oldest_items_and_counts_them(start, observer, tmp_path):
    """Items being processed and the newest ones stay; a dropped item does not block the order."""
    gate = tmp_path / 'gate'
    start(
        {
            'stages': ['slow'],
            'slow': stage(
                'Gated', queue_size=3, concurrency=1, task_timeout=60.0, params={'gate': str(gate)}
            ),
        }
    )
    answers = observer.collect('slow/output')
    feed = observer.feeder('slow/input')
    observer.wait_until_active('slow', 1)
    feed.publish(header(0))
    wait_for(lambda: observer.count('slow', 'in_flight') == 1, 'the first item in work')
    for number in range(1, 11):
        feed.publish(header(number))
    wait_for(lambda: observer.count('slow', 'accepted') == 11, 'all accepted')
    assert observer.count('slow', 'queued') == 3
    assert observer.count('slow', 'dropped') == 7
    gate.touch()
    wait_for(lambda: len(answers) == 4, 'four answers', seen=lambda: numbers(answers))
    assert numbers(answers) == [0, 8, 9, 10]
    wait_for(lambda: observer.count('slow', 'completed') == 4, 'the count')
    assert observer.count('slow', 'dropped') == 7


def test_a_stuck_stage_blocks_the_source_three_stages_upstream(start, observer, tmp_path):
    """The source is not asked for more items, and nothing is dropped."""
    gate = tmp_path / 'gate'
    blocking = {'overflow': 'block', 'queue_size': 4}
    start(
        {
            'stages': ['count', 'first', 'second', 'third'],
            'count': stage('Counting', params={'items': 200}),
            'first': stage('Echo', input='count', workers=2, **blocking),
            'second': stage('Echo', input='first', **blocking),
            'third': stage(
                'Gated', input='second', task_timeout=60.0, params={'gate': str(gate)}, **blocking
            ),
        }
    )
    answers = observer.collect('third/output')
    observer.wait_until_active('third', 1)
    wait_for(lambda: observer.count('third', 'queued') == 4, 'a full queue')

    def asked(statuses):
        values = {each.key: each.value for each in statuses['/airside/count'].values}
        return int(values['accepted'])

    def at_rest():
        last = [asked(statuses) for statuses in observer.diagnostics[-3:]]
        return len(set(last)) == 1 and observer.count('third', 'queued') == 4

    received = len(observer.diagnostics)
    wait_for(
        lambda: len(observer.diagnostics) >= received + 3 and at_rest(),
        'a source at rest',
        seen=lambda: observer.values('count'),
    )
    # Each stage has at most its queue, and its workers' items: 2 each.
    assert observer.count('count', 'accepted') <= 2 + (4 + 4) + (4 + 2) + (4 + 2)
    assert answers == []
    gate.touch()
    wait_for(lambda: len(answers) == 200, '200 answers', seen=lambda: len(answers))
    stamps = [(each.stamp.sec, each.stamp.nanosec) for each in answers]
    assert stamps == sorted(set(stamps))
    wait_for(lambda: observer.count('third', 'completed') == 200, 'the count')
    for name in ('count', 'first', 'second', 'third'):
        assert observer.count(name, 'accepted') == 200
        assert observer.count(name, 'refused') == observer.count(name, 'dropped') == 0


def test_a_stage_with_a_slow_item_holds_no_more_than_its_queue_allows(start, observer, tmp_path):
    """Finished items that wait for their turn count; the others wait upstream."""
    gate = tmp_path / 'gate'
    start(
        {
            'stages': ['head', 'slow'],
            'head': stage('Echo', queue_size=1000),
            'slow': stage(
                'Gated',
                input='head',
                workers=3,
                concurrency=1,  # or another item would wait behind the slow one
                queue_size=10,
                overflow='block',
                task_timeout=60.0,
                params={'gate': str(gate), 'only': '0'},
            ),
        }
    )
    answers = observer.collect('slow/output')
    feed = observer.feeder('head/input')
    observer.wait_until_active('head', 1)
    observer.wait_until_active('slow', 3)
    for number in range(200):
        feed.publish(header(number))
    wait_for(
        lambda: observer.count('slow', 'completed') == 9,
        'all done that may be',
        seen=lambda: observer.values('slow'),
    )
    received = len(observer.diagnostics)
    wait_for(lambda: len(observer.diagnostics) >= received + 2, 'two more diagnostics')
    assert answers == []
    assert observer.count('slow', 'completed') == 9
    assert observer.count('slow', 'in_flight') == 1
    assert observer.count('slow', 'queued') == 10
    for statuses in observer.diagnostics:
        values = {each.key: each.value for each in statuses['/airside/slow'].values}
        withheld = int(values['completed']) - int(values['delivered'])
        assert withheld + int(values['in_flight']) <= 10
        assert int(values['queued']) <= 10
    gate.touch()
    wait_for(lambda: len(answers) == 200, '200 answers', seen=lambda: len(answers))
    assert numbers(answers) == list(range(200))
    wait_for(lambda: observer.count('slow', 'completed') == 200, 'the count')
    for name in ('head', 'slow'):
        assert observer.count(name, 'refused') == observer.count(name, 'dropped') == 0


def test_fan_out_and_fan_in_lose_no_item_at_a_death(start, observer):
    """One output feeds two stages, two inputs one: each item comes once by each way, in order."""
    marked = {'input': 'head', 'workers': 2, 'overflow': 'block', 'queue_size': 10}
    manager = start(
        {
            'stages': ['head', 'left', 'right', 'join', 'tail'],
            'head': stage('Echo', workers=2, queue_size=1000),
            'left': stage('Work', params={'mark': 'left', 'seconds': 0.004}, **marked),
            'right': stage('Work', params={'mark': 'right', 'seconds': 0.002}, **marked),
            'join': stage(
                'Echo', input=['left', 'right'], workers=2, overflow='block', queue_size=10
            ),
            'tail': stage('Echo', input='join', overflow='block', queue_size=10),
        }
    )
    answers = observer.collect('tail/output')
    feed = observer.feeder('head/input')
    for name, workers in (('head', 2), ('left', 2), ('right', 2), ('join', 2), ('tail', 1)):
        observer.wait_until_active(name, workers)
    for number in range(300):
        feed.publish(header(number))
    victims = ['left/worker_0', 'join/worker_1', 'right/worker_1', 'head/worker_0', 'tail/worker_0']
    for count, victim in enumerate(victims, start=1):
        wait_for(lambda least=50 * count: len(answers) > least, 'some answers', seen=manager.show)
        os.kill(observer.pid_of(victim), signal.SIGKILL)
    wait_for(
        lambda: len(answers) == 600, '600 answers', seen=lambda: (len(answers), manager.show())
    )
    for mark in ('left', 'right'):
        assert numbers(each for each in answers if each.frame_id.endswith(mark)) == [*range(300)]
    wait_for(lambda: observer.count('tail', 'completed') == 600, 'the count')
    for name in ('head', 'left', 'right', 'join', 'tail'):
        for fate in ('refused', 'dropped', 'quarantined', 'duplicates'):
            assert observer.count(name, fate) == 0, (name, fate)
    wait_for(lambda: observer.values('manager')['restarts'] == '5', 'five restarts')
