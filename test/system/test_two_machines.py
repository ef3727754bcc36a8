# SPDX-License-Identifier: Apache-2.0
"""A pipeline on two machines with a manager on each, and a cut of the network between them."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator

import pytest
import yaml
from support.configuring import stage
from support.machines import Machines, NotPermittedError, two_machines
from support.manager_process import ManagerProcess
from support.remote_observer import remote_observer

from worker_pipeline.testing import isolated_domain, wait_for

SUBNET = {'ROS_AUTOMATIC_DISCOVERY_RANGE': 'SUBNET'}
# The stages of the two managers; the second's has its input from the first machine.
# No worker is to be replaced because the machine is slow.
SHARES = {
    'manager': {
        'stages': ['detect'],
        'heartbeat_timeout': 20.0,
        'detect': stage('Work', workers=2, queue_size=1000),
    },
    'manager_b': {
        'stages': ['place'],
        'heartbeat_timeout': 20.0,
        'place': stage('Work', workers=2, queue_size=1000, input='/airside/detect/output'),
    },
}
BY_HAND = 100_000  # the first item that the second machine is given there


@pytest.fixture
def machines() -> Iterator[Machines]:
    with contextlib.ExitStack() as stack:
        try:
            made = stack.enter_context(two_machines())
        except NotPermittedError as error:
            pytest.skip(f'two machines: network namespaces cannot be made here: {error}')
        yield made


def test_two_managers_share_a_pipeline_and_survive_a_cut_between_them(machines, tmp_path):
    """The order is kept; nothing is doubled, or lost, as the cut is shorter than their lease."""
    with contextlib.ExitStack() as stack:
        domain = stack.enter_context(isolated_domain())
        managers, observers = [], []
        for machine, (name, parameters) in zip(
            (machines.first, machines.second), SHARES.items(), strict=True
        ):
            (tmp_path / name).mkdir()
            managers.append(
                ManagerProcess(
                    tmp_path / name,
                    yaml.safe_dump({f'/**/{name}': {'ros__parameters': parameters}}),
                    domain,
                    ['--remap', f'__node:={name}'],
                    environment=SUBNET,
                    inside=machine.inside,
                )
            )
            stack.callback(managers[-1].close)
            observers.append(
                stack.enter_context(remote_observer(machine, domain, tmp_path, SUBNET))
            )
        here, there = observers
        there.subscribe('place/output')
        there.wait_until_active('place', 2)
        here.wait_until_active('detect', 2)
        wait_for(lambda: here.count('detect', 'listeners') == 1, 'a link between the machines')
        workers = {
            here: ('detect/worker_0', 'detect/worker_1'),
            there: ('place/worker_0', 'place/worker_1'),
        }
        before = [observer.pid_of(each) for observer in observers for each in workers[observer]]

        def come_through() -> list[int]:
            return [each for each in there.received('place/output') if each < BY_HAND]

        def on_its_own() -> list[int]:
            return [each for each in there.received('place/output') if each >= BY_HAND]

        here.publish('detect/input', range(50))
        wait_for(lambda: len(come_through()) == 50, 'the first items', seen=come_through)

        machines.part()
        here.publish('detect/input', range(50, 100))
        wait_for(
            lambda: here.count('detect', 'delivered') == 100,
            'the first machine to work alone',
            seen=lambda: here.values('detect'),
        )
        there.publish('place/input', range(BY_HAND, BY_HAND + 50))
        victim = before[2]
        os.kill(victim, signal.SIGKILL)
        there.publish('place/input', range(BY_HAND + 50, BY_HAND + 100))
        wait_for(lambda: len(on_its_own()) == 100, 'the second machine to work alone')
        assert come_through() == list(range(50)), 'they are parted'

        machines.join()
        there.wait_until_replaced('place/worker_0', victim)
        wait_for(lambda: len(come_through()) >= 100, 'what waited for the cut to end')
        here.publish('detect/input', range(100, 150))
        wait_for(lambda: len(come_through()) >= 150, 'the last items', seen=come_through)
        assert here.trigger('manager_b/drain') == (True, 'drained')
        assert come_through() == list(range(150))
        assert on_its_own() == list(range(BY_HAND, BY_HAND + 100))
        after = [
            observer.pid_of(each, victim) for observer in observers for each in workers[observer]
        ]
        assert after[:2] + after[3:] == before[:2] + before[3:], (
            'no worker was replaced because of the cut'
        )
        assert [here.count('manager', 'restarts'), there.count('manager_b', 'restarts')] == [0, 1]
        assert there.count('place', 'duplicates') == there.count('place', 'lost') == 0
        for manager in managers:
            manager.signal(signal.SIGINT)
        assert [manager.wait() for manager in managers] == [0, 0]
