# SPDX-License-Identifier: Apache-2.0
"""The exit of a slot's worker becomes facts, with its reason and the item that may be to blame."""

from __future__ import annotations

import signal

import pytest
from support.slot_bench import GONE, Bench

from worker_pipeline.core.supervision_table import Phase, WorkerConnected
from worker_pipeline.manager.worker_facts import WorkerExited, WorkerFailing, WorkerUnavailable


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def exited(bench):
    """Return the fact of an exit, after that of the failure and of the worker leaving the pool."""
    *_, fact = bench.take()
    assert isinstance(fact, WorkerExited)
    return fact


def test_the_exit_of_an_active_worker_is_two_facts(bench):
    bench.bring_up()
    pid, record = bench.pid, bench.slot.liveness
    bench.slot.process_exited(pid, 'exited with code 3', 1.0)
    assert bench.take() == [
        WorkerUnavailable('worker_0'),
        WorkerExited('worker_0', 'exited with code 3', None, record, True),
    ]
    assert bench.channel.detached == 1


def test_a_successor_is_started_when_its_stage_has_acted_on_the_exit(bench):
    bench.bring_up()
    pid = bench.pid
    bench.slot.process_exited(pid, 'exited with code 3', 1.0)
    assert bench.pid is None
    bench.slot.start_successor(1.0)
    assert bench.pid not in (None, pid)
    bench.slot.start_successor(1.1)  # no second one
    assert bench.targets == ['active', 'active']


def test_the_item_that_was_processed_is_the_suspect(bench):
    bench.bring_up()
    bench.records[0].set(active_item=7)
    bench.slot.process_exited(bench.pid, 'exited with code 3', 1.0)
    assert exited(bench).suspect == 7


def test_an_item_is_no_suspect_when_the_worker_was_asked_to_exit(bench):
    bench.bring_up()
    bench.records[0].set(active_item=7)
    bench.slot.set_desired(GONE, 1.0)
    bench.slot.process_exited(bench.pid, 'killed by SIGKILL', 1.0)
    fact = exited(bench)
    assert fact.suspect is None
    assert not fact.was_wanted
    assert bench.slot.supervision.phase is Phase.EMPTY


def test_the_reason_is_what_the_worker_has_written(bench):
    bench.bring_up()
    bench.records[0].words = 'MemoryError in process'
    bench.slot.process_exited(bench.pid, 'exited with code 1', 1.0)
    assert exited(bench).reason == 'MemoryError in process'
    assert bench.slot.last_error == bench.slot.last_exit == 'MemoryError in process'


def test_the_reason_of_a_worker_that_was_exiting_when_it_was_killed_is_its_own(bench):
    """It knows best; it was late only because it was exiting."""
    bench.bring_up()
    bench.records[0].words = 'MemoryError in process'
    pid = bench.pid
    bench.slot.tick(2.0, 0, 1.0)
    assert bench.processes.signals == [(pid, signal.SIGKILL)]
    bench.slot.process_exited(pid, 'killed by SIGKILL', 2.1)
    assert exited(bench).reason == 'MemoryError in process'


def test_the_reason_of_a_killed_worker_is_why_it_was_killed(bench):
    """Rather than the signal."""
    bench.bring_up()
    pid = bench.pid
    bench.slot.tick(2.0, 0, 1.0)
    assert bench.take() == [WorkerUnavailable('worker_0'), WorkerFailing('worker_0')]
    assert bench.processes.signals == [(pid, signal.SIGKILL)]
    bench.slot.process_exited(pid, 'killed by SIGKILL', 2.1)
    assert exited(bench).reason == bench.slot.last_exit == 'no heartbeat for 2.00 s'
    assert bench.slot.last_error == ''


def test_the_reason_of_a_kill_belongs_to_that_worker_only(bench):
    bench.bring_up()
    bench.slot.tick(2.0, 0, 1.0)
    bench.replace(2.1, 'killed by SIGKILL')
    bench.replace(2.2)
    assert exited(bench).reason == 'exited with code 1'


def test_a_new_worker_has_all_its_time_to_start_an_item(bench):
    """However long the one before had held its items."""
    bench.bring_up()
    bench.slot.tick(0.5, 1, 1.0)
    bench.replace(0.8)
    bench.beat(0.9)
    bench.slot.handle(WorkerConnected(bench.pid), 0.9)
    bench.report('active', 0.9)
    bench.beat(1.6)
    bench.slot.tick(1.6, 1, 1.0)
    assert bench.processes.signals == []


def test_a_new_worker_starts_without_the_marks_of_the_one_before(bench):
    bench.bring_up()
    bench.slot.has_stale_config = bench.slot.adopted = True
    bench.replace(1.0)
    assert not bench.slot.has_stale_config
    assert not bench.slot.adopted
    assert bench.slot.report is None
    assert bench.slot.liveness is bench.records[1]


def test_a_restart_whose_cause_was_an_item_is_refunded(bench):
    """The backoff ends at once."""
    bench.bring_up()
    bench.replace(1.0)
    bench.replace(1.1)
    assert bench.slot.supervision.phase is Phase.BACKOFF
    bench.slot.refund_restart(1.1)
    assert bench.slot.supervision.phase is Phase.STARTING
