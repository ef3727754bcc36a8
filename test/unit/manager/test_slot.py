# SPDX-License-Identifier: Apache-2.0
"""A slot starts, adopts and replaces its worker, and reports whether the worker is available."""

from __future__ import annotations

import signal

import pytest
from support.fake_workers import FakeRecord
from support.slot_bench import ACTIVE, INACTIVE, NS, Bench

from worker_pipeline.core.supervision_table import Phase
from worker_pipeline.manager.worker_facts import WorkerExited, WorkerUnavailable


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def test_a_started_process_is_found_by_its_pid(bench):
    bench.slot.set_desired(ACTIVE, 0.0)
    assert bench.targets == ['active']
    assert bench.by_pid == {bench.pid: bench.slot}
    assert bench.slot.liveness is bench.records[0]


def test_a_worker_that_is_active_is_available(bench):
    bench.bring_up()
    assert bench.slot.supervision.phase is Phase.READY


def test_a_worker_that_is_to_be_inactive_is_unavailable_before_it_is_asked(bench):
    bench.bring_up()
    bench.slot.set_desired(INACTIVE, 1.0)
    assert bench.take() == [WorkerUnavailable('worker_0')]
    assert bench.channel.requests == ['deactivate']


def test_a_report_of_a_former_worker_changes_nothing(bench):
    bench.bring_up()
    before = bench.slot.report
    bench.report('finalized', 1.0, failure='an old one', pid=bench.pid + 1)
    assert bench.slot.report is before
    assert bench.slot.last_error == ''
    assert bench.slot.supervision.state == 'active'


def test_the_failure_in_a_report_stays_the_last_error(bench):
    bench.bring_up()
    bench.report('active', 1.0, failure='no camera')
    bench.report('active', 1.1)
    assert bench.slot.last_error == 'no camera'


@pytest.mark.parametrize('failing', ['record', 'process'])
def test_a_process_that_cannot_be_started_is_tried_again_later(bench, failing):
    error = OSError(28, 'No space left on device')
    if failing == 'record':
        bench.no_room = error
    else:
        bench.processes.start_error = error
    bench.slot.set_desired(ACTIVE, 0.0)
    reason = 'cannot be started: [Errno 28] No space left on device'
    assert set(bench.logger.errors) == {f'worker_0: {reason}'}
    assert {(type(each), each.reason) for each in bench.take()} == {(WorkerExited, reason)}
    assert bench.by_pid == {}
    assert bench.slot.supervision.phase is Phase.BACKOFF
    bench.no_room = bench.processes.start_error = None
    bench.slot.tick(20.0, 0, 1.0)
    assert list(bench.by_pid) == [bench.pid]


def test_a_graceful_replacement_waits_before_it_signals(bench):
    bench.bring_up()
    pid = bench.pid
    bench.slot.has_stale_config = True
    bench.slot.replace_gracefully(1.0, 4.0)
    assert not bench.slot.has_stale_config
    assert bench.channel.requests == ['shutdown']
    bench.slot.tick(4.9, 0, 1.0)
    assert bench.processes.signals == []
    bench.slot.tick(5.1, 0, 1.0)
    assert bench.processes.signals == [(pid, signal.SIGTERM)]


def test_a_replaced_worker_is_followed_by_the_next_and_counts_as_no_restart(bench):
    bench.bring_up()
    pid = bench.pid
    bench.slot.replace_gracefully(1.0, 4.0)
    bench.replace(1.2, 'exited with code 0')
    assert bench.pid not in (None, pid)
    assert bench.slot.supervision.restarts == 0


def test_an_adopted_worker_is_watched(bench, tmp_path):
    record = FakeRecord(tmp_path / 'old', pid=4711, heartbeat_at=NS)
    bench.slot.adopt(record, ACTIVE, 1.0)
    assert bench.by_pid == {4711: bench.slot}
    assert bench.processes.adopted == [4711]
    assert bench.slot.adopted
    assert bench.processes.signals == []


def test_a_ready_standby_is_inactive_connected_and_stays(bench):
    assert not bench.slot.is_ready_standby
    bench.slot.set_desired(INACTIVE, 0.0)
    assert not bench.slot.is_ready_standby  # it is starting
    bench.bring_up(desired=INACTIVE)
    assert bench.slot.is_ready_standby
    bench.slot.draining = True
    assert not bench.slot.is_ready_standby


def test_an_active_worker_is_no_standby(bench):
    bench.bring_up()
    assert not bench.slot.is_ready_standby
