# SPDX-License-Identifier: Apache-2.0
"""Workers without heartbeats or reports, and hooks that hang."""

from __future__ import annotations

import pytest
from support.supervisions import PID, cordoned, keep_up, of_kind, ready, starting

from worker_pipeline.core.supervision_table import (
    DesiredState,
    HeartbeatSeen,
    JoinPool,
    KillProcess,
    Phase,
    StateReported,
    WorkerConnected,
)


@pytest.mark.parametrize(('make', 'state'), [(ready, 'active'), (cordoned, 'inactive')])
def test_heartbeats_in_shared_memory_make_up_for_late_reports(make, state: str):
    """A sign of life by another way makes up for heartbeats that are late."""
    slot = make()
    for tenth in range(1, 55):
        assert slot.handle(HeartbeatSeen(PID), tenth / 10) == []
        assert slot.tick(tenth / 10) == []
    assert (slot.state, slot.phase) == (state, make().phase)


@pytest.mark.parametrize('make', [ready, cordoned])
def test_a_worker_with_heartbeats_but_without_reports_is_killed(make):
    """The reason distinguishes it from a dead one."""
    slot = make()
    for tenth in range(1, 61):
        slot.handle(HeartbeatSeen(PID), tenth / 10)
        assert slot.tick(tenth / 10) == []
    slot.handle(HeartbeatSeen(PID), 6.1)
    assert of_kind(slot.tick(6.1), KillProcess) == [
        KillProcess(PID, 'alive, but reported no state for 6.10 s')
    ]
    assert slot.phase is Phase.ENDING


def test_a_worker_without_heartbeats_is_killed_after_the_usual_timeout():
    """Whichever kind of message was the last."""
    slot = ready()
    slot.handle(HeartbeatSeen(PID), 0.5)
    assert slot.tick(1.5) == []
    assert of_kind(slot.tick(1.6), KillProcess) == [KillProcess(PID, 'no heartbeat for 1.10 s')]


def test_a_connection_counts_as_a_heartbeat():
    """A worker that connects long after its last heartbeat is not killed at the next tick."""
    slot = starting()
    slot.handle(StateReported(PID, 'active'), 1.0)
    assert slot.handle(WorkerConnected(PID), 3.0) == [JoinPool()]
    assert slot.tick(3.9) == []
    assert of_kind(slot.tick(4.1), KillProcess) != []


def test_the_deadline_for_reports_is_extended_too():
    """The manager could not receive them either."""
    slot = ready()
    slot.extend_deadlines(2.0)
    for tenth in range(1, 81):
        slot.handle(HeartbeatSeen(PID), tenth / 10)
        assert slot.tick(tenth / 10) == []
    slot.handle(HeartbeatSeen(PID), 8.1)
    assert of_kind(slot.tick(8.1), KillProcess) != []


def test_a_starting_worker_may_miss_heartbeats():
    """An import may hold the GIL for long: only startup_timeout counts."""
    slot = starting()
    slot.handle(StateReported(PID, 'unconfigured'), 0.1)
    slot.handle(HeartbeatSeen(PID), 0.2)
    for now in range(1, 30):
        assert of_kind(slot.tick(float(now)), KillProcess) == []


@pytest.mark.parametrize('make', [ready, cordoned])
def test_a_hanging_hook_is_ended_after_startup_timeout(make):
    """Heartbeats continue, and report the same transition state."""
    slot = make()
    slot.handle(StateReported(PID, 'deactivating'), 0.5)
    assert slot.phase is Phase.CORDONED
    keep_up(slot, 30.5, 'deactivating', since=0.5)
    slot.handle(StateReported(PID, 'deactivating'), 30.6)
    assert slot.tick(30.6) == [KillProcess(PID, 'deactivating for 30.10 s')]
    assert slot.phase is Phase.ENDING


def test_a_hook_that_hangs_while_pausing_is_ended_too():
    """Although the transition was requested."""
    slot = ready()
    slot.set_desired(DesiredState.INACTIVE, 0.0)
    slot.handle(StateReported(PID, 'deactivating'), 0.5)
    assert slot.phase is Phase.READY
    keep_up(slot, 30.5, 'deactivating', since=0.5)
    slot.handle(StateReported(PID, 'deactivating'), 30.6)
    assert slot.tick(30.6) == [KillProcess(PID, 'deactivating for 30.10 s')]


def test_each_hook_has_its_own_timeout():
    """One transition after the other is no hang."""
    slot = cordoned()
    keep_up(slot, 20.0, 'cleaningup')
    keep_up(slot, 40.0, 'configuring', since=20.0)
    slot.extend_deadlines(10.0)
    keep_up(slot, 60.0, 'configuring', since=40.0)
    assert slot.phase is Phase.CORDONED, 'the manager could not receive whether it had ended'


@pytest.mark.parametrize('state', ['unconfigured', 'inactive'])
def test_a_primary_state_may_last_for_ever(state: str):
    """A cordoned worker stays cordoned."""
    slot = cordoned()
    slot.set_desired(DesiredState.INACTIVE, 0.0)
    keep_up(slot, 100.0, state)
    assert slot.phase is Phase.CORDONED
