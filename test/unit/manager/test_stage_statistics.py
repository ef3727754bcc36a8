# SPDX-License-Identifier: Apache-2.0
"""The figures of a worker and of a stage at one moment."""

from __future__ import annotations

import pytest
from support.dispatching import Flow, stage
from support.fake_workers import FIRST_PID
from support.offline_pipeline import stage_config

from worker_pipeline.manager.stage_statistics import dispatcher_values

NS = 10**9


def worker_of(rig, index=0):
    return rig.stages['s'].statistics(rig.clock.now).workers[index]


def test_a_worker_is_shown_as_it_is(make):
    rig = make(stage_config('s'))
    rig.start()
    rig.receive('s', 1)
    rig.report(rig.worker('s'), failure='no camera', level='warn', text='dark')
    rig.clock.now += 0.3
    found = worker_of(rig)
    assert (found.slot, found.pid, found.state) == ('worker_0', FIRST_PID + 1, 'active')
    assert found.is_healthy
    assert not found.is_cordoned
    assert not found.is_being_replaced
    assert found.silence == pytest.approx(0.3)
    assert found.in_flight == 1
    assert found.processed == '0'
    assert (found.last_error, found.level, found.message) == ('no camera', 'warn', 'dark')


def test_a_standby_that_is_ready_is_shown_as_one(make):
    rig = make(stage_config('s', standby=1))
    rig.start(0.0)
    assert worker_of(rig, 1).state == 'starting'
    rig.run()
    assert [worker_of(rig, index).state for index in (0, 1)] == ['active', 'standby']


def test_the_time_of_the_item_in_process_counts_as_busy(make):
    rig = make(stage_config('s'))
    rig.start()
    now = rig.clock.monotonic_ns()
    rig.record('s').set(busy_ns=2 * NS, registered_at=now - 5 * NS)
    assert worker_of(rig).busy == 2.0
    rig.record('s').set(active_item=1, active_since=now - NS)
    assert worker_of(rig).busy == pytest.approx(3.0)
    assert worker_of(rig).started_at == pytest.approx(rig.clock.now - 5.0)


def test_a_process_that_has_not_come_up_has_no_age(make):
    rig = make(stage_config('s'))
    rig.start(0.0)
    assert worker_of(rig).started_at is None


def test_a_dead_worker_is_being_replaced(make):
    rig = make(stage_config('s'))
    rig.start()
    for _ in range(2):
        rig.exit(rig.worker('s'), 'exited with code 1')
    found = worker_of(rig)
    assert found.is_being_replaced  # it waits for its next start
    assert not found.is_healthy
    assert (found.pid, found.restarts, found.last_exit) == (None, 2, 'exited with code 1')
    assert (found.processed, found.level, found.own) == (0, '', {})


def test_a_worker_that_was_deactivated_manually_is_cordoned(make):
    rig = make(stage_config('s'))
    rig.start()
    rig.worker('s').state = 'inactive'
    rig.run()
    found = worker_of(rig)
    assert found.is_cordoned
    assert found.is_healthy


def test_the_restarts_of_a_stage_are_those_of_its_workers(make):
    rig = make(stage_config('s', workers=2))
    rig.start()
    for index in (0, 1, 1):
        rig.exit(rig.worker('s', index), 'exited with code 1')
    assert rig.stages['s'].statistics(rig.clock.now).restarts == 3


def test_the_values_of_a_stage_are_those_of_its_dispatcher():
    flow = Flow(a=stage(queue_size=2, concurrency=1, max_attempts=1))
    flow.receive('a', 1, 2, 3, 3, 4)
    flow.take()
    flow.now = 0.1
    flow.answer('a', 1)
    flow.a.item_failed('w0', flow.sent()[0][2], 'no', 0.1)
    found = dispatcher_values(flow.a, 1.0)
    counts = ('accepted', 'completed', 'delivered', 'dropped', 'quarantined', 'duplicates')
    assert {key: found[key] for key in counts} == {
        'accepted': 4,
        'completed': 1,
        'delivered': 1,
        'dropped': 1,
        'quarantined': 1,
        'duplicates': 1,
    }
    assert (found['queue_size'], found['workers_active']) == (2, 1)
    assert (found['latency_p50_ms'], found['latency_p99_ms']) == ('100.00', '100.00')
