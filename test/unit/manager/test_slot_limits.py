# SPDX-License-Identifier: Apache-2.0
"""A slot ends a worker that is silent, or that takes too long for an item."""

from __future__ import annotations

import signal

import pytest
from support.offline_pipeline import stage_config
from support.slot_bench import ACTIVE, INACTIVE, NS, Bench

from worker_pipeline.manager import slot as slot_module


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def test_a_changed_heartbeat_keeps_a_worker_alive(bench):
    bench.bring_up()
    for tenth in range(1, 40):
        bench.beat(tenth / 10)
        bench.slot.tick(tenth / 10, 0, 1.0)
    assert bench.processes.signals == []


def test_a_heartbeat_of_another_process_is_none(bench):
    bench.bring_up()
    for tenth in range(1, 15):
        bench.records[0].set(pid=bench.pid + 1, heartbeat_at=tenth * NS // 10)
        bench.slot.tick(tenth / 10, 0, 1.0)
    assert bench.processes.signals == [(bench.pid, signal.SIGKILL)]


def test_an_item_that_takes_too_long_ends_its_worker(bench):
    bench.bring_up()
    bench.beat(0.5, active_item=1, active_since=NS // 2)
    bench.slot.tick(0.5, 1, 1.0)
    bench.beat(1.4)
    bench.slot.tick(1.4, 1, 1.0)
    assert bench.processes.signals == []
    bench.beat(1.6)
    bench.slot.tick(1.6, 1, 1.0)
    assert len(bench.processes.signals) == 1
    assert 'an item took longer than 1 s; killing it' in bench.logger.warnings[0]


@pytest.mark.parametrize(('desired', 'signals'), [(ACTIVE, 1), (INACTIVE, 0)])
def test_only_an_active_worker_has_to_start_the_items_that_it_holds(bench, desired, signals):
    bench.bring_up(desired=desired)
    for tenth in range(1, 16):
        bench.beat(tenth / 10)
        bench.slot.tick(tenth / 10, 2, 1.0)
    assert len(bench.processes.signals) == signals


@pytest.mark.parametrize('stopped', [True, False])
def test_a_silent_worker_that_starts_is_killed_if_it_is_stopped(bench, stopped, monkeypatch):
    """An import may hold the GIL, and silence it."""
    monkeypatch.setattr(slot_module, 'is_stopped', lambda _pid: stopped)
    bench.slot.set_desired(ACTIVE, 0.0)
    pid = bench.pid
    bench.beat(0.1)
    bench.slot.tick(0.1, 0, 1.0)
    bench.slot.tick(1.05, 0, 1.0)
    assert bench.processes.signals == []
    bench.slot.tick(1.2, 0, 1.0)
    assert bench.processes.signals == ([(pid, signal.SIGKILL)] if stopped else [])


def test_memory_is_not_limited_without_a_process(bench, monkeypatch):
    monkeypatch.setattr(slot_module, 'resident_sizes', lambda _pid: (10**12, 0))
    bench.slot.check_limits(stage_config('s', memory_limit=1.0), 0.0)
    assert bench.processes.signals == []


def test_a_worker_that_others_may_have_forgotten_is_due(bench):
    """Until it is replaced; its successor is not."""
    bench.bring_up()
    bench.report('active', 1.0, absent_s='12.0')
    bench.slot.check_limits(stage_config('s'), 1.0)
    assert 'stood still for 12.0 s' in bench.slot.due
    bench.slot.process_exited(bench.pid, 'exit code 0', 2.0)
    bench.slot.start_successor(2.0)
    bench.take()
    bench.beat(2.0)
    bench.report('active', 2.0)
    bench.slot.check_limits(stage_config('s'), 2.0)
    assert bench.slot.due == ''


def test_a_manager_that_was_held_up_extends_the_deadlines(bench):
    """Of heartbeats and of the item in process."""
    bench.bring_up()
    bench.beat(0.5, active_item=1, active_since=NS // 2)
    bench.slot.tick(0.5, 1, 1.0)
    bench.slot.extend_deadlines(3.0, 4.0)
    bench.slot.tick(4.0, 1, 1.0)
    bench.beat(4.4, active_item=1, active_since=NS // 2)
    bench.slot.tick(4.4, 1, 1.0)
    bench.slot.tick(5.3, 1, 1.0)
    assert bench.processes.signals == []
    bench.beat(5.5, active_item=1, active_since=NS // 2)
    bench.slot.tick(5.5, 1, 1.0)
    assert len(bench.processes.signals) == 1
    assert 'longer than 1 s' in bench.logger.warnings[0]


def test_the_limits_of_items_start_anew_with_each_worker(bench):
    """An extension for the former worker does not apply to its successor."""
    bench.bring_up()
    bench.slot.extend_deadlines(60.0, 1.0)
    bench.replace(1.0)
    bench.take()
    bench.bring_up(1.0)
    for tenth in range(11, 30):
        bench.beat(tenth / 10, active_item=0)
        bench.slot.tick(tenth / 10, 1, 1.0)
    assert len(bench.processes.signals) == 1
