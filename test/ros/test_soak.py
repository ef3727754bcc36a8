# SPDX-License-Identifier: Apache-2.0
"""Long runs: the manager must not grow with items or with replacements.

In the suite there are items for a minute; in `make soak` for an hour: 108,000 items, 30 a second.
"""

from __future__ import annotations

import os
import signal

import attrs
import psutil
import pytest
from support.configuring import stage
from support.observer import header, number_of

from worker_pipeline.testing import wait_for

ITEMS = int(os.environ.get('SOAK_ITEMS', 2_000))
DEATHS = int(os.environ.get('SOAK_DEATHS', 8))
WINDOW = 400
# Rounds before the first measurement: caches and pools are filled by then.
WARM_UP = 1
ROUNDS = 4
# Python's and Fast DDS's own fluctuation. A leak of 1 kB an item would be 100 MB in an hour.
MEMORY_ALLOWANCE = 12.0  # MB
WORKERS = ('first/worker_0', 'first/worker_1', 'second/worker_0')


@attrs.frozen
class Size:
    """The size of the manager."""

    descriptors: int
    threads: int
    memory: float  # MB, private
    endpoints: int  # of DDS, of all nodes, as any other node sees them
    pages: int  # files of workers in the pipeline's folder: a liveness record, and the last output


def size_of(manager, observer):
    process = psutil.Process(manager.manager_pid)
    names = observer.node.get_topic_names_and_types()
    endpoints = sum(
        len(observer.node.get_publishers_info_by_topic(name))
        + len(observer.node.get_subscriptions_info_by_topic(name))
        for name, _ in names
        if name.startswith('/airside')
    )
    return Size(
        process.num_fds(),
        process.num_threads(),
        process.memory_full_info().uss / 1e6,
        endpoints,
        len(list((manager.folder / 'workers').iterdir())),
    )


class Feed:
    """Feeds items, with a limit of those in flight."""

    def __init__(self, publisher, received):
        self._publisher = publisher
        self._received = received
        self.count = 0

    def pass_on(self, count):
        """Feed items, and wait until all are out."""
        until = self.count + count
        while self.count < until:
            wait_for(
                lambda: self.count - len(self._received) < WINDOW, f'room for item {self.count}'
            )
            self._publisher.publish(header(self.count))
            self.count += 1
        wait_for(
            lambda: len(self._received) == until,
            f'{until} items',
            seen=lambda: len(self._received),
        )


def wait_until_leases_have_ended(observer):
    """Wait until the DDS leases of killed processes have ended."""
    wanted = sorted(worker.rpartition('/')[2] for worker in WORKERS)

    def there():
        nodes = observer.node.get_node_names_and_namespaces()
        return sorted(name for name, _ in nodes if name in wanted)

    wait_for(lambda: there() == wanted, 'the end of the leases of the dead', seen=there)


@pytest.mark.timeout(120 + ITEMS * 0.05 + DEATHS * 5)
def test_the_manager_does_not_grow(start, observer):
    """Neither descriptors, threads and memory nor endpoints, with items and with replacements."""
    manager = start(
        {
            'stages': ['first', 'second'],
            'journal': True,
            'restart_limit': 1_000_000,
            'restart_backoff_max': 0.0,
            'first': stage('Echo', workers=2, queue_size=2 * WINDOW, concurrency=4),
            'second': stage('Remembers', input='first', overflow='block', queue_size=50),
        }
    )
    feed = observer.feeder('first/input')
    received = observer.collect('second/output')
    observer.wait_until_active('first', 2)
    observer.wait_until_active('second', 1)
    fed = Feed(feed, received)
    sizes = []
    for turn in range(ROUNDS):
        fed.pass_on(ITEMS // ROUNDS)
        for death in range(DEATHS // ROUNDS + 1):
            worker = WORKERS[(turn + death) % len(WORKERS)]
            pid = observer.pid_of(worker)
            os.kill(pid, signal.SIGKILL)
            observer.pid_of(worker, but=pid)
        observer.diagnostics.clear()
        observer.heartbeats.clear()
        observer.wait_until_active('first', 2)
        observer.wait_until_active('second', 1)
        if turn in (WARM_UP, ROUNDS - 1):
            wait_until_leases_have_ended(observer)
            sizes.append(size_of(manager, observer))
    assert [number_of(message) for message in received] == list(range(fed.count))
    assert received[-1].frame_id.split()[0] == str(fed.count)
    listed = '\n'.join(map(str, sizes))
    first, last = sizes
    print(listed)
    assert last.descriptors <= first.descriptors + 2, listed
    assert last.threads <= first.threads, listed
    assert last.endpoints == first.endpoints, listed
    assert last.pages == first.pages == 2 * len(WORKERS), listed
    assert last.memory <= first.memory + MEMORY_ALLOWANCE, listed
