# SPDX-License-Identifier: Apache-2.0
"""Floods on an input: the manager goes on, and every message is accounted for."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from support.configuring import stage
from support.manager_process import python_path
from support.observer import header, number_of

from worker_pipeline.system.threads import available_cores
from worker_pipeline.testing import wait_for

SECONDS = 8.0  # of a flood
BAD = 20_000
GOOD = 200
KINDS = ('stampless', 'repeated', 'too_short')
STAGES = ('flooded', 'beside', 'in_turns', *KINDS)
SHARED = {name: stage('Echo', queue_size=1000) for name in STAGES}


@pytest.fixture
def flooders(shared):
    """Start processes that publish; they are ended after the test."""
    started = []

    def start(count, *arguments):
        environment = {'ROS_DOMAIN_ID': str(shared.domain), 'PYTHONPATH': python_path()}
        started.extend(
            subprocess.Popen(
                [sys.executable, '-m', 'support.flooder', *arguments],
                env=os.environ | environment,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(count)
        )
        return started

    yield start
    for each in started:
        each.kill()
        each.wait()


def published(processes):
    """Wait for their ends; return how many messages they have published."""
    outputs = [each.communicate(timeout=SECONDS + 60.0)[0] for each in processes]
    return sum(int(text.split()[-1]) for text in outputs)


def test_a_flood_of_which_dds_loses_most_does_not_stop_the_manager(shared, flooders):
    """Two threads of rmw_fastrtps (9.3.3) could wait for each other's lock, for good."""
    observer = shared.observer
    answers = observer.collect('beside/output')
    good = observer.feeder('beside/input')
    observer.wait_until_active('flooded')
    observer.wait_until_active('beside')
    options = ['--kind', 'stampless', '--size', '60000', '--seconds', str(SECONDS)]
    count = published(flooders(2, 'flooded/input', *options))
    age = float(observer.values('manager')['age_s'])

    wait_for(
        lambda: float(observer.values('manager')['age_s']) > age + 2.0,
        'diagnostics after the flood',
        seen=shared.manager.describe,
    )
    wait_for(
        lambda: observer.count('flooded', 'refused') + observer.count('flooded', 'lost') == count,
        f'{count} messages accounted for',
        seen=lambda: observer.values('flooded'),
    )
    assert observer.count('flooded', 'lost') > 0
    good.publish(header(1))
    wait_for(lambda: answers == [header(1)], 'the answer of another stage')
    assert observer.values('manager')['restarts'] == '0'


@pytest.mark.parametrize('kind', KINDS)
def test_good_items_are_answered_beside_a_flood_of_bad_ones(shared, flooders, kind):
    """Every one, in order; every bad one is refused, or lost before and counted."""
    observer = shared.observer
    answers = observer.collect(f'{kind}/output')
    good = observer.feeder(f'{kind}/input')
    observer.wait_until_active(kind)
    if kind == 'repeated':
        good.publish(header(0))
        wait_for(lambda: answers, 'the answer to the item that is repeated')
        answers.clear()
    options = ['--kind', kind, '--count', str(BAD), '--depth', '1000']
    (flooder,) = flooders(1, f'{kind}/input', *options)
    numbers = iter(range(1, GOOD + 1))

    def publish_next() -> bool:
        number = next(numbers, None)
        if number is not None:
            good.publish(header(number))
        return len(answers) >= GOOD

    wait_for(publish_next, 'all answers', seen=lambda: (len(answers), observer.values(kind)))
    assert [number_of(each) for each in answers] == list(range(1, GOOD + 1))
    assert published([flooder]) == BAD
    keys = ('refused', 'duplicates', 'lost')
    wait_for(
        lambda: sum(observer.count(kind, each) for each in keys) == BAD,
        f'{BAD} messages accounted for',
        seen=lambda: observer.values(kind),
    )
    assert observer.values('manager')['restarts'] == '0'


@pytest.mark.skipif(available_cores() < 2, reason='needs two processors')
def test_a_flood_is_read_in_turns_on_one_processor_until_it_is_over(shared, flooders):
    observer = shared.observer
    answers = observer.collect('in_turns/output')
    good = observer.feeder('in_turns/input')
    observer.wait_until_active('in_turns')
    manager = shared.manager.manager_pid

    def processors() -> set[int]:
        threads = os.listdir(f'/proc/{manager}/task')
        return {len(os.sched_getaffinity(int(each))) for each in threads}

    wait_for(lambda: processors() == {available_cores()}, 'all processors', seen=processors)
    options = ['--kind', 'stampless', '--seconds', '4', '--depth', '1000']
    (flooder,) = flooders(1, 'in_turns/input', *options)
    wait_for(lambda: processors() == {1}, 'one processor in a flood', seen=processors)
    for number in (1, 2):
        good.publish(header(number))
        wait_for(lambda: len(answers) == number, f'answer {number}', seen=lambda: answers)  # noqa: B023
        if number == 1:
            published([flooder])
            wait_for(lambda: processors() == {available_cores()}, 'all of them', seen=processors)
