# SPDX-License-Identifier: Apache-2.0
"""A stage adopts the live workers of an earlier manager."""

from __future__ import annotations

import signal

from support.fake_nodes import run
from support.fake_workers import FIRST_PID, FakeRecord
from support.offline_pipeline import stage_config

from worker_pipeline.core.supervision_table import Phase, StateReported, WorkerConnected
from worker_pipeline.manager import pauses
from worker_pipeline.manager import slot as slot_module
from worker_pipeline.protocol.worker_spec import config_hash_of
from worker_pipeline.recovery.recover import RecoveredStage


def spec_hash(rig, slot='worker_0'):
    """Return the hash of the configuration that a new worker would be started with."""
    return config_hash_of(rig.stages['s'].workers.specs.spec(slot))


def adopt(rig, **records):
    """Configure the stage with these workers of an earlier manager alive."""
    recovered = RecoveredStage(live_workers=dict(records))
    rig.stages['s'].restore(recovered)


def old_worker(rig, tmp_path, pid, config_hash, heartbeat_age=0.0):
    beat = rig.clock.monotonic_ns() - int(heartbeat_age * 1e9)
    return FakeRecord(tmp_path / str(pid), pid=pid, config_hash=config_hash, heartbeat_at=beat)


def test_live_workers_of_an_earlier_manager_are_adopted(make, tmp_path):
    rig = make(stage_config('s', workers=2))
    adopt(rig, worker_0=old_worker(rig, tmp_path, FIRST_PID - 1, spec_hash(rig)))
    rig.start(0.0)
    slot = rig.slot('s')
    assert slot.supervision.pid == FIRST_PID - 1
    assert slot.adopted
    assert rig.processes.adopted == [FIRST_PID - 1]
    assert not slot.has_stale_config
    assert 'adopted worker_0 of an earlier manager' in rig.stages['s'].logger.infos
    assert len(rig.processes.workers) == 1  # the other one had to be started
    assert rig.services.slots_by_pid[FIRST_PID - 1] is slot


def test_an_adopted_worker_with_another_configuration_is_stale(make, tmp_path):
    rig = make(stage_config('s'))
    adopt(rig, worker_0=old_worker(rig, tmp_path, FIRST_PID - 1, 12345))
    rig.start(0.0)
    assert rig.slot('s').has_stale_config


def test_an_adopted_worker_that_is_not_asked_for_any_more_is_drained(make, tmp_path):
    rig = make(stage_config('s'))
    adopt(rig, worker_3=old_worker(rig, tmp_path, FIRST_PID - 1, 0))
    rig.start(0.0)
    slot = rig.slot('s', 3)
    assert slot.draining
    assert slot.supervision.phase is Phase.STOPPING


def test_an_adopted_worker_that_hangs_is_killed(make, tmp_path):
    rig = make(stage_config('s'), heartbeat_timeout=1.0)
    adopt(rig, worker_0=old_worker(rig, tmp_path, FIRST_PID - 1, 0, heartbeat_age=1.5))
    rig.start(0.0)
    assert rig.processes.signals == [], 'it may have been paused, as its manager was'
    rig.run(1.0)
    assert rig.processes.signals == []
    rig.run(0.2)
    assert rig.processes.signals == [(FIRST_PID - 1, signal.SIGKILL)]
    assert 'no heartbeat for 1.05 s; killing it' in rig.stages['s'].logger.warnings[0]


def test_an_adopted_worker_is_not_deactivated_while_the_manager_starts(make, tmp_path):
    """It keeps working, though the stage goes through inactive."""
    rig = make(stage_config('s'))
    adopt(rig, worker_0=old_worker(rig, tmp_path, FIRST_PID - 1, spec_hash(rig)))
    rig.interrupted = True  # so that nothing waits
    rig.stages['s'].resume()
    run(rig.stages['s'].transition('configure'))
    assert rig.slot('s').supervision.desired.value == 'active'


def test_workers_that_are_still_stopped_when_a_manager_starts_are_waited_for(
    make, tmp_path, monkeypatch
):
    """The pipeline was stopped, its manager killed, and the next one is started."""
    stopped = {FIRST_PID - 1, FIRST_PID - 2}
    for module in (pauses, slot_module):
        monkeypatch.setattr(module, 'is_stopped', stopped.__contains__)
    rig = make(stage_config('s', workers=2), heartbeat_timeout=1.0)
    adopt(
        rig,
        worker_0=old_worker(rig, tmp_path, FIRST_PID - 1, spec_hash(rig), heartbeat_age=60.0),
        worker_1=old_worker(rig, tmp_path, FIRST_PID - 2, spec_hash(rig), heartbeat_age=60.0),
    )
    rig.start(30.0)
    assert rig.processes.signals == []
    stopped.clear()
    rig.run(0.9)
    assert rig.processes.signals == []
    rig.run(0.2)
    assert len(rig.processes.signals) == 2, 'they run, and send no heartbeat'


def test_nor_is_one_that_is_served_before_its_stage_is_configured(make, tmp_path):
    """It is given items without waiting for any topic."""
    rig = make(stage_config('s'))
    adopt(rig, worker_0=old_worker(rig, tmp_path, FIRST_PID - 1, spec_hash(rig)))
    rig.interrupted = True  # so that nothing waits
    rig.stages['s'].resume()
    slot = rig.slot('s')
    now = rig.clock.monotonic()
    slot.adopted = False
    slot.handle(WorkerConnected(FIRST_PID - 1), now)
    slot.handle(StateReported(FIRST_PID - 1, 'active'), now)
    rig.stages['s']._consume_facts()
    assert rig.active('s') == ['worker_0']
    run(rig.stages['s'].transition('configure'))
    assert slot.supervision.desired.value == 'active'
    assert rig.active('s') == ['worker_0']
    run(rig.stages['s'].transition('activate'))
    assert rig.active('s') == ['worker_0']
    run(rig.stages['s'].transition('deactivate'))
    assert slot.supervision.desired.value == 'inactive'
