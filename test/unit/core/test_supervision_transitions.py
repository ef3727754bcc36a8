# SPDX-License-Identifier: Apache-2.0
"""The supervision of one slot, transition by transition."""

from __future__ import annotations

import sys

import pytest
from support.supervisions import (
    PID,
    cordoned,
    empty,
    ending,
    in_backoff,
    of_kind,
    ready,
    starting,
    stopping,
)

from worker_pipeline.core.supervision_table import (
    TRANSITIONS,
    DesiredState,
    IllegalTransitionError,
    JoinPool,
    KillProcess,
    LeavePool,
    LimitExceeded,
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


def test_empty_becomes_starting_when_a_worker_is_wanted():
    """EMPTY -> STARTING: one process is started, with the state that it should reach."""
    slot = empty()
    assert slot.set_desired(DesiredState.INACTIVE, 5.0) == [StartProcess('inactive')]
    assert slot.phase is Phase.STARTING
    assert slot.started_at == 5.0


def test_starting_becomes_ready_when_connected_and_in_the_desired_state():
    """STARTING -> READY: it takes both, and then the worker joins the pool."""
    slot = starting()
    assert slot.handle(StateReported(PID, 'active'), 0.1) == []
    assert slot.phase is Phase.STARTING
    assert slot.handle(WorkerConnected(PID), 0.2) == [JoinPool()]
    assert slot.phase is Phase.READY
    assert slot.converged


def test_starting_becomes_ready_when_the_desired_state_follows_the_connection():
    """STARTING -> READY: in the other order too."""
    slot = starting()
    assert slot.handle(WorkerConnected(PID), 0.1) == []
    assert slot.phase is Phase.STARTING
    assert slot.handle(StateReported(PID, 'active'), 0.2) == [JoinPool()]
    assert slot.phase is Phase.READY


def test_starting_becomes_ready_without_joining_when_it_should_be_inactive():
    """STARTING -> READY: a standby is in its desired state and gets no items."""
    slot = starting(DesiredState.INACTIVE)
    slot.handle(WorkerConnected(PID), 0.1)
    assert slot.handle(StateReported(PID, 'inactive'), 0.2) == []
    assert slot.phase is Phase.READY
    assert slot.converged


def test_starting_becomes_ending_when_it_is_late():
    """STARTING -> ENDING: not before startup_timeout, and at it."""
    slot = starting()
    slot.handle(StateReported(PID, 'unconfigured'), 29.0)
    assert of_kind(slot.tick(29.9), KillProcess) == []
    assert slot.tick(30.0) == [KillProcess(PID, 'not ready within 30 s')]
    assert slot.phase is Phase.ENDING


def test_starting_becomes_ending_when_its_lifecycle_state_is_unrecoverable():
    """STARTING -> ENDING: a worker with a failed configuration is not waited for."""
    slot = starting()
    actions = slot.handle(StateReported(PID, 'finalized'), 0.1)
    assert actions == [KillProcess(PID, 'lifecycle state is finalized')]
    assert slot.phase is Phase.ENDING


def test_starting_becomes_ending_when_a_limit_is_exceeded():
    """STARTING -> ENDING: a hook may load more than the memory limit."""
    slot = starting()
    assert slot.handle(LimitExceeded(PID, 'over 2 GB'), 0.1) == [KillProcess(PID, 'over 2 GB')]
    assert slot.phase is Phase.ENDING


def test_starting_becomes_backoff_when_its_process_exits():
    """STARTING -> BACKOFF: and on to STARTING, as the first restart is immediate."""
    slot = starting()
    actions = slot.handle(ProcessExited(PID, 'exit code 1'), 0.1)
    assert actions == [ReleaseItems('exit code 1', suspect=True), StartProcess('active')]
    slot.handle(ProcessStarted(PID + 1), 0.1)
    slot.handle(ProcessExited(PID + 1, 'exit code 1'), 0.2)
    assert slot.phase is Phase.BACKOFF


def test_starting_becomes_backoff_when_its_process_could_not_be_started():
    """STARTING -> BACKOFF: a failed fork is a restart like any other."""
    slot = empty()
    slot.set_desired(DesiredState.ACTIVE, 0.0)
    assert slot.handle(ProcessExited(None, 'no memory'), 0.0)[-1] == StartProcess('active')
    actions = slot.handle(ProcessExited(None, 'no memory'), 0.0)
    assert of_kind(actions, StartProcess) == []
    assert slot.phase is Phase.BACKOFF
    assert (slot.last_exit, slot.restarts) == ('no memory', 2)


def test_starting_becomes_stopping_when_it_is_no_longer_needed():
    """STARTING -> STOPPING: a worker that has reported its state is asked to shut down."""
    slot = starting()
    slot.handle(StateReported(PID, 'inactive'), 0.1)
    assert slot.set_desired(DesiredState.GONE, 0.2) == [RequestTransition('shutdown')]
    assert slot.phase is Phase.STOPPING


def test_ready_becomes_cordoned_when_deactivated_manually():
    """READY -> CORDONED: it leaves the pool and is not activated again."""
    slot = ready()
    assert slot.handle(StateReported(PID, 'inactive'), 0.5) == [LeavePool()]
    assert slot.phase is Phase.CORDONED
    assert slot.handle(StateReported(PID, 'inactive'), 1.0) == []
    assert slot.tick(1.5) == []


def test_ready_becomes_ending_without_heartbeats():
    """READY -> ENDING: it leaves the pool and is killed after heartbeat_timeout."""
    slot = ready()
    slot.handle(StateReported(PID, 'active'), 5.0)
    assert slot.tick(6.0) == []
    assert slot.tick(6.1) == [LeavePool(), KillProcess(PID, 'no heartbeat for 1.10 s')]
    assert slot.phase is Phase.ENDING


def test_ready_becomes_ending_when_a_limit_is_exceeded():
    """READY -> ENDING: with or without heartbeats."""
    slot = ready()
    actions = slot.handle(LimitExceeded(PID, 'over 5 s at one item'), 0.5)
    assert actions == [LeavePool(), KillProcess(PID, 'over 5 s at one item')]
    assert slot.phase is Phase.ENDING


@pytest.mark.parametrize('state', ['finalized', 'errorprocessing'])
def test_ready_becomes_ending_when_its_lifecycle_state_is_unrecoverable(state: str):
    """READY -> ENDING: finalized or in error, it is replaced, not cordoned."""
    slot = ready()
    actions = slot.handle(StateReported(PID, state), 0.5)
    assert actions == [LeavePool(), KillProcess(PID, f'lifecycle state is {state}')]
    assert slot.phase is Phase.ENDING


def test_ready_becomes_backoff_when_its_process_exits():
    """READY -> BACKOFF: it leaves the pool, its items are released, and a process is started."""
    slot = ready()
    assert slot.handle(ProcessExited(PID, 'signal 9'), 3.0) == [
        LeavePool(),
        ReleaseItems('signal 9', suspect=True),
        StartProcess('active'),
    ]
    assert slot.phase is Phase.STARTING
    assert (slot.pid, slot.restarts, slot.last_exit) == (None, 1, 'signal 9')


def test_ready_becomes_stopping_when_it_is_no_longer_needed():
    """READY -> STOPPING: it leaves the pool and is asked to shut down."""
    slot = ready()
    assert slot.set_desired(DesiredState.GONE, 1.0) == [LeavePool(), RequestTransition('shutdown')]
    assert slot.phase is Phase.STOPPING


def test_cordoned_becomes_ready_when_activated_again():
    """CORDONED -> READY: it was activated manually; it joins the pool."""
    slot = cordoned()
    assert slot.handle(StateReported(PID, 'active'), 0.5) == [JoinPool()]
    assert slot.phase is Phase.READY


def test_cordoned_becomes_ending_without_heartbeats():
    """CORDONED -> ENDING: it is supervised like any other."""
    slot = cordoned()
    assert slot.tick(1.1) == [KillProcess(PID, 'no heartbeat for 1.10 s')]
    assert slot.phase is Phase.ENDING


def test_cordoned_becomes_ending_when_a_limit_is_exceeded():
    """CORDONED -> ENDING: an item it held when it was cordoned may hang."""
    slot = cordoned()
    assert slot.handle(LimitExceeded(PID, 'too long'), 0.5) == [KillProcess(PID, 'too long')]
    assert slot.phase is Phase.ENDING


def test_cordoned_becomes_backoff_when_its_process_exits():
    """CORDONED -> BACKOFF: the slot gets a new process."""
    slot = cordoned()
    assert slot.handle(ProcessExited(PID, 'signal 9'), 0.5) == [
        ReleaseItems('signal 9', suspect=True),
        StartProcess('active'),
    ]


def test_cordoned_becomes_stopping_when_it_is_no_longer_needed():
    """CORDONED -> STOPPING: it is shut down with the others."""
    slot = cordoned()
    assert slot.set_desired(DesiredState.GONE, 0.5) == [RequestTransition('shutdown')]
    assert slot.phase is Phase.STOPPING


def test_ending_becomes_backoff_only_when_its_process_has_exited():
    """ENDING -> BACKOFF: no process is started before that, in spite of any report meanwhile."""
    slot = ending()
    for now in (0.1, 5.0, 100.0):
        assert slot.tick(now) == []
        assert slot.handle(StateReported(PID, 'active'), now) == []
        assert slot.handle(WorkerConnected(PID), now) == []
        assert slot.handle(LimitExceeded(PID, 'too long'), now) == []
        assert slot.set_desired(DesiredState.ACTIVE, now) == []
    assert slot.phase is Phase.ENDING
    actions = slot.handle(ProcessExited(PID, 'signal 9'), 100.1)
    assert actions == [ReleaseItems('signal 9', suspect=True), StartProcess('active')]


def test_ending_becomes_stopping_when_it_is_no_longer_needed():
    """ENDING -> STOPPING: it was killed already, so it is not terminated first."""
    slot = ending()
    slot.set_desired(DesiredState.GONE, 0.1, grace=1.0)
    assert slot.phase is Phase.STOPPING
    later = [action for now in (0.5, 1.1, 1.6) for action in slot.tick(now)]
    assert of_kind(later, TerminateProcess) == []
    assert of_kind(later, KillProcess) != []


def test_backoff_becomes_starting_after_the_delay():
    """BACKOFF -> STARTING: not before, and once."""
    slot = in_backoff()
    due = slot._due_at
    assert 0.05 <= due <= 0.1
    assert slot.tick(due - 0.001) == []
    assert slot.tick(due) == [StartProcess('active')]
    assert slot.phase is Phase.STARTING
    assert slot.tick(due + 0.1) == []


def test_backoff_becomes_empty_when_it_is_no_longer_needed():
    """BACKOFF -> EMPTY: there is no process to wait for."""
    slot = in_backoff()
    assert slot.set_desired(DesiredState.GONE, 0.0) == []
    assert slot.phase is Phase.EMPTY
    assert slot.converged
    assert slot.tick(100.0) == []


def test_stopping_becomes_empty_when_its_process_has_exited():
    """STOPPING -> EMPTY: its items are released without a suspect; no process is started."""
    slot = stopping()
    assert slot.handle(ProcessExited(PID, 'exit code 0'), 1.0) == [
        ReleaseItems('exit code 0', suspect=False)
    ]
    assert slot.phase is Phase.EMPTY
    assert (slot.converged, slot.restarts) == (True, 0)


def test_every_transition_of_the_table_has_a_test():
    """The docstrings above name each transition that is allowed, and no other."""
    module = sys.modules[__name__]
    documented = {
        each.__doc__.split(':')[0]
        for name, each in vars(module).items()
        if name.startswith('test_') and ' -> ' in (each.__doc__ or '').split(':')[0]
    }
    allowed = {f'{a.name} -> {b.name}' for a, targets in TRANSITIONS.items() for b in targets}
    assert documented == allowed
    assert set(TRANSITIONS) == set(Phase)


def test_a_transition_that_is_not_in_the_table_raises():
    """The error names both phases."""
    slot = empty()
    with pytest.raises(IllegalTransitionError, match='EMPTY -> READY'):
        slot._move(Phase.READY, 0.0)


def test_deadlines_are_extended_while_the_manager_is_held_up():
    """Its workers are not blamed for it."""
    slot = ready()
    slot.handle(StateReported(PID, 'active'), 1.0)
    slot.extend_deadlines(2.0)
    assert slot.tick(3.9) == []
    assert slot.tick(4.1) == [LeavePool(), KillProcess(PID, 'no heartbeat for 1.10 s')]
