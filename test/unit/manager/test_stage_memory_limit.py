# SPDX-License-Identifier: Apache-2.0
"""A worker that uses more memory than its stage allows is killed."""

from __future__ import annotations

import signal

import pytest
from support.offline_pipeline import stage_config

from worker_pipeline.manager import slot as slot_module
from worker_pipeline.manager.stage_workers import LIMITS_PERIOD


@pytest.fixture
def sizes(monkeypatch):
    """The resident size of each process, bytes."""
    found = {}
    monkeypatch.setattr(slot_module, 'resident_sizes', lambda pid: (found.get(pid, 0), 0))
    return found


def test_a_worker_above_the_memory_limit_is_killed(make, sizes):
    rig = make(stage_config('s', memory_limit=100.0))
    rig.start()
    worker = rig.worker('s')
    sizes[worker.pid] = 100_000_000
    rig.run(1.0)
    assert rig.processes.signals == []
    sizes[worker.pid] = 101_000_000
    rig.run(LIMITS_PERIOD + 0.1)
    assert rig.processes.signals == [(worker.pid, signal.SIGKILL)]
    assert 'uses 101 MB of memory; memory_limit is 100 MB' in rig.stages['s'].logger.warnings[0]


def test_memory_is_checked_once_in_a_period(make, monkeypatch):
    """Each check reads a file of every process."""
    rig = make(stage_config('s', memory_limit=100.0))
    rig.start()
    rig.run(2 * LIMITS_PERIOD)
    checks = []
    monkeypatch.setattr(slot_module, 'resident_sizes', lambda pid: checks.append(pid) or (0, 0))
    rig.run(4 * LIMITS_PERIOD)
    assert 2 <= len(checks) <= 4


def test_without_a_memory_limit_no_size_matters(make, sizes):
    rig = make(stage_config('s', memory_limit=0.0))
    rig.start()
    sizes[rig.worker('s').pid] = 10**12
    rig.run(1.0)
    assert rig.processes.signals == []


def test_the_memory_of_every_worker_is_checked(make, sizes):
    rig = make(stage_config('s', workers=2, memory_limit=100.0))
    rig.start()
    worker = rig.worker('s', 1)
    sizes[worker.pid] = 10**9
    rig.run(LIMITS_PERIOD + 0.1)
    assert rig.processes.signals == [(worker.pid, signal.SIGKILL)]
