# SPDX-License-Identifier: Apache-2.0
"""Floods on an input: the manager goes on, and every message is accounted for."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from support.configuring import stage
from support.manager_process import python_path
from support.observer import header

from worker_pipeline.testing import wait_for

SECONDS = 8.0  # of a flood
SHARED = {'flooded': stage('Echo'), 'beside': stage('Echo')}


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
