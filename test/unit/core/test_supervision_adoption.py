# SPDX-License-Identifier: Apache-2.0
"""Processes that a slot adopts from an earlier manager."""

from __future__ import annotations

import pytest
from support.supervisions import (
    PID,
    adopted,
    cordoned,
    empty,
    ending,
    in_backoff,
    keep_up,
    of_kind,
    ready,
    starting,
    stopping,
)

from worker_pipeline.core.reported_state import reported_state
from worker_pipeline.core.supervision_table import (
    DesiredState,
    HeartbeatSeen,
    IllegalTransitionError,
    JoinPool,
    KillProcess,
    Phase,
    ProcessExited,
    ProcessStarted,
    ReleaseItems,
    RequestTransition,
    StartProcess,
    StateReported,
    TerminateProcess,
    WorkerConnected,
)


def test_an_adopted_process_becomes_ready_like_any_other():
    """Connected and in its desired state, it joins the pool; no restart is counted."""
    slot = adopted()
    assert (slot.pid, slot.started_at, slot.desired) == (PID, 0.0, DesiredState.ACTIVE)
    assert slot.handle(StateReported(PID, 'active'), 2.0) == []
    assert reported_state(slot, 2.0) == 'starting'
    assert slot.handle(WorkerConnected(PID), 2.1) == [JoinPool()]
    assert (slot.phase, slot.converged, slot.restarts) == (Phase.READY, True, 0)
    assert reported_state(slot, 2.1) == 'active'


@pytest.mark.parametrize(
    ('state', 'desired', 'label'),
    [
        ('unconfigured', DesiredState.INACTIVE, 'configure'),
        ('inactive', DesiredState.ACTIVE, 'activate'),
        ('active', DesiredState.INACTIVE, 'deactivate'),
    ],
)
def test_an_adopted_process_that_is_not_in_the_desired_state_is_driven_there(
    state: str, desired: DesiredState, label: str
):
    """At once, as it is not known to go there by itself."""
    slot = adopted(desired)
    assert slot.handle(StateReported(PID, state), 1.0) == [RequestTransition(label)]
    assert slot.handle(StateReported(PID, state), 1.4) == []
    assert slot.handle(StateReported(PID, state), 1.5) == [RequestTransition(label)]


def test_an_adopted_process_has_time_to_be_discovered():
    """Until its first report: heartbeat_timeout and adoption_grace; then it is killed."""
    slot = adopted()
    for second in range(1, 7):
        slot.handle(HeartbeatSeen(PID), float(second))
        assert slot.tick(float(second)) == []
    assert slot.tick(6.1) == [KillProcess(PID, 'reported no state within 6 s of its adoption')]
    assert slot.phase is Phase.ENDING
    assert slot.handle(ProcessExited(PID, 'signal 9'), 6.2)[-1] == StartProcess('active')


def test_the_deadline_of_an_adopted_process_is_extended_too():
    """A manager that is held up while it starts receives nothing."""
    slot = adopted()
    slot.extend_deadlines(3.0)
    for second in range(1, 10):
        slot.handle(HeartbeatSeen(PID), float(second))
        assert slot.tick(float(second)) == []
    assert of_kind(slot.tick(9.1), KillProcess) != []


def test_an_adopted_process_without_heartbeats_is_not_waited_for():
    """They are in shared memory, and need no discovery."""
    slot = adopted()
    slot.handle(HeartbeatSeen(PID), 0.2)
    assert slot.tick(1.2) == []
    assert slot.tick(1.3) == [KillProcess(PID, 'no heartbeat for 1.10 s')]


def test_an_adopted_process_that_has_reported_must_send_heartbeats():
    """It has finished its imports, so without heartbeats it is stopped or hangs."""
    slot = adopted()
    slot.handle(StateReported(PID, 'active'), 3.0)
    slot.handle(HeartbeatSeen(PID), 3.5)
    assert slot.tick(4.5) == []
    assert slot.tick(4.6) == [KillProcess(PID, 'no heartbeat for 1.10 s')]


def test_an_adopted_process_that_stops_reporting_is_killed():
    """Heartbeats and reports are both expected from its first report on."""
    slot = adopted()
    slot.handle(StateReported(PID, 'active'), 1.0)
    for tenth in range(11, 71):
        slot.handle(HeartbeatSeen(PID), tenth / 10)
        assert slot.tick(tenth / 10) == []
    slot.handle(HeartbeatSeen(PID), 7.1)
    assert slot.tick(7.1) == [KillProcess(PID, 'alive, but reported no state for 6.10 s')]


def test_an_adopted_process_that_does_not_connect_is_killed():
    """After startup_timeout, from its first report on."""
    slot = adopted()
    keep_up(slot, 30.0, since=0.5)
    slot.handle(StateReported(PID, 'active'), 30.9)
    assert slot.tick(30.9) == []
    assert slot.tick(31.0) == [KillProcess(PID, 'not ready within 30 s')]


def test_the_exit_of_an_adopted_process_counts_like_any_other():
    """As a restart, and the item it processed is a suspect."""
    slot = adopted()
    actions = slot.handle(ProcessExited(PID, 'signal 11'), 0.5)
    assert actions == [ReleaseItems('signal 11', suspect=True), StartProcess('active')]
    assert slot.restarts == 1
    slot.handle(ProcessStarted(PID + 1), 0.5)
    assert slot.tick(29.0) == [], 'its successor starts like any other'


def test_a_process_adopted_by_a_slot_that_is_not_needed_is_stopped():
    """Its exit is awaited, and no process is started."""
    slot = empty()
    assert slot.adopt(PID, DesiredState.GONE, 0.0) == []
    assert slot.phase is Phase.STOPPING
    assert slot.handle(StateReported(PID, 'active'), 0.6) == []
    assert slot.tick(0.7) == [RequestTransition('shutdown')]
    assert slot.tick(1.0) == [TerminateProcess(PID)]
    slot.handle(ProcessExited(PID, 'exit code 0'), 1.1)
    assert (slot.phase, slot.restarts) == (Phase.EMPTY, 0)


@pytest.mark.parametrize('make', [starting, ready, cordoned, ending, in_backoff, stopping])
def test_only_an_empty_slot_can_adopt(make):
    """In any other phase there is a process, or there will be one."""
    slot = make()
    with pytest.raises(IllegalTransitionError, match='only an empty slot'):
        slot.adopt(PID + 50, DesiredState.ACTIVE, 0.0)
