# SPDX-License-Identifier: Apache-2.0
"""The endpoints of a slot, over many workers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from support.fake_nodes import FakeNode
from support.fake_workers import FakeProcesses

from worker_pipeline.frames.registry import FrameRegistry
from worker_pipeline.manager.worker_channel import WORKERS_PER_SUBSCRIPTION, WorkerChannel


@pytest.fixture
def bench(clock, tmp_path):
    node, processes = FakeNode('s', clock), FakeProcesses()
    channels: Any = processes
    channel = WorkerChannel(
        node, 's', 'worker_0', 'in', 'out', 2, channels, FrameRegistry(tmp_path, 0)
    )
    channel.open_mirror()
    return SimpleNamespace(node=node, channel=channel)


def subscriptions(bench):
    return [bench.node.topics_subscribed[f's/worker_0/{name}'] for name in ('result', 'outcome')]


def replace_worker(bench, times):
    for pid in range(1, times + 1):
        worker: Any = SimpleNamespace(pid=pid, frames_in_use=[])
        bench.channel.attach(worker, pid, 0)
    bench.channel.refresh_mirror()


def test_subscriptions_are_made_anew_after_many_workers(bench):
    """Fast DDS keeps a piece of each worker that was killed, for as long as they exist."""
    first = subscriptions(bench)
    replace_worker(bench, WORKERS_PER_SUBSCRIPTION)
    assert all(one is other for one, other in zip(subscriptions(bench), first, strict=True))
    replace_worker(bench, 1)
    second = subscriptions(bench)
    assert not any(one is other for one, other in zip(first, second, strict=True))
    replace_worker(bench, WORKERS_PER_SUBSCRIPTION)
    assert all(one is other for one, other in zip(subscriptions(bench), second, strict=True))


def test_no_endpoint_is_left(bench):
    replace_worker(bench, WORKERS_PER_SUBSCRIPTION + 1)
    bench.channel.destroy()
    assert bench.node.topics_subscribed == bench.node.topics_published == {}
