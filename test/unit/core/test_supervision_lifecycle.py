# SPDX-License-Identifier: Apache-2.0
"""How a worker is driven to the desired state, and which events are ignored."""

from __future__ import annotations

import pytest
from support.supervisions import (
    PID,
    cordoned,
    empty,
    ending,
    in_backoff,
    of_kind,
    ready,
    replacing,
    starting,
    stopping,
)

from worker_pipeline.core.supervision import Supervision
from worker_pipeline.core.supervision_table import (
    DesiredState,
    HeartbeatSeen,
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

# -- driving the worker through its lifecycle ------------------------------------------------------


@pytest.mark.parametrize(
    ('state', 'desired', 'label'),
    [
        ('unconfigured', DesiredState.ACTIVE, 'configure'),
        ('unconfigured', DesiredState.INACTIVE, 'configure'),
        ('inactive', DesiredState.ACTIVE, 'activate'),
        ('active', DesiredState.INACTIVE, 'deactivate'),
    ],
)
def test_a_worker_is_driven_to_its_desired_state(state: str, desired: DesiredState, label: str):
    """If it is not on its way by itself, the next transition is requested."""
    slot = starting(desired)
    assert slot.handle(StateReported(PID, state), 1.0) == []
    assert slot.tick(1.4) == []
    assert slot.tick(1.5) == [RequestTransition(label)]


def test_a_worker_whose_desired_state_has_changed_is_driven_at_once():
    """It was started to become inactive, and goes no further by itself."""
    slot = starting(DesiredState.INACTIVE)
    assert slot.handle(StateReported(PID, 'inactive'), 1.0) == []
    assert slot.set_desired(DesiredState.ACTIVE, 2.0) == [RequestTransition('activate')]


@pytest.mark.parametrize('state', ['configuring', 'activating', 'deactivating'])
def test_a_worker_in_transition_is_left_to_finish_it(state: str):
    """No request is sent meanwhile."""
    slot = starting()
    assert slot.handle(StateReported(PID, state), 1.0) == []


def test_a_request_is_repeated_after_a_while():
    """Every request_retry until the state has changed, not with every heartbeat."""
    slot = ready(DesiredState.INACTIVE)
    assert slot.set_desired(DesiredState.ACTIVE, 1.0) == [RequestTransition('activate')]
    assert slot.handle(StateReported(PID, 'inactive'), 1.4) == []
    assert slot.tick(1.5) == [RequestTransition('activate')]
    assert slot.tick(1.6) == []


def test_a_standby_is_activated_and_joins_the_pool():
    """It joins once it reports that it is active."""
    slot = ready(DesiredState.INACTIVE)
    assert slot.set_desired(DesiredState.ACTIVE, 0.5) == [RequestTransition('activate')]
    assert not slot.converged
    assert slot.handle(StateReported(PID, 'activating'), 0.6) == []
    assert slot.handle(StateReported(PID, 'active'), 0.7) == [JoinPool()]
    assert slot.converged


def test_a_paused_worker_leaves_the_pool_and_is_not_cordoned():
    """It leaves the pool at once, is deactivated, and can be activated again."""
    slot = ready()
    assert slot.set_desired(DesiredState.INACTIVE, 0.5) == [
        LeavePool(),
        RequestTransition('deactivate'),
    ]
    assert slot.handle(StateReported(PID, 'inactive'), 0.6) == []
    assert (slot.phase, slot.converged) == (Phase.READY, True)
    assert slot.set_desired(DesiredState.ACTIVE, 1.1) == [RequestTransition('activate')]
    assert slot.handle(StateReported(PID, 'active'), 1.2) == [JoinPool()]


def test_a_pause_that_is_revoked_before_it_happened_does_not_cordon():
    """The deactivation that is then reported was requested: the worker is activated again."""
    slot = ready()
    slot.set_desired(DesiredState.INACTIVE, 0.1)
    assert slot.set_desired(DesiredState.ACTIVE, 0.2) == [JoinPool()]
    assert slot.handle(StateReported(PID, 'inactive'), 0.7) == [
        LeavePool(),
        RequestTransition('activate'),
    ]
    assert slot.phase is Phase.READY
    assert slot.handle(StateReported(PID, 'active'), 0.8) == [JoinPool()]
    assert slot.handle(StateReported(PID, 'inactive'), 0.9) == [LeavePool()]
    assert slot.phase is Phase.CORDONED, 'the second time it was not we who asked'


def test_a_later_deactivation_after_a_pause_cordons():
    """It was not requested, so it was done manually."""
    slot = ready()
    slot.set_desired(DesiredState.INACTIVE, 0.1)
    slot.handle(StateReported(PID, 'inactive'), 0.2)
    slot.handle(StateReported(PID, 'active'), 0.3)
    assert slot.set_desired(DesiredState.ACTIVE, 0.4) == [JoinPool()]
    assert slot.handle(StateReported(PID, 'inactive'), 0.5) == [LeavePool()]
    assert slot.phase is Phase.CORDONED


def test_a_cordoned_worker_stays_cordoned_while_the_pipeline_pauses_and_resumes():
    """Only a manual activation ends it."""
    slot = cordoned()
    assert slot.set_desired(DesiredState.INACTIVE, 0.1) == []
    assert slot.set_desired(DesiredState.ACTIVE, 0.2) == []
    assert slot.phase is Phase.CORDONED
    assert not slot.converged


def test_a_cordoned_worker_is_converged_while_the_pipeline_pauses():
    """Being inactive counts as converged then, for any cause; other states do not."""
    slot = cordoned()
    assert not slot.converged
    slot.set_desired(DesiredState.INACTIVE, 0.1)
    assert slot.converged
    slot.handle(StateReported(PID, 'unconfigured'), 0.2)
    assert not slot.converged


def test_a_cordoned_worker_that_is_activated_in_a_pause_is_deactivated_as_any_other():
    """It is cordoned no more; else it would be active beside the one that stands in for it."""
    slot = cordoned()
    slot.set_desired(DesiredState.INACTIVE, 0.1)
    assert slot.handle(StateReported(PID, 'active'), 0.3) == [RequestTransition('deactivate')]
    assert (slot.phase, slot.converged) == (Phase.READY, False)
    slot.handle(StateReported(PID, 'inactive'), 0.4)
    assert slot.converged


def test_a_desired_state_set_twice_starts_one_process():
    """The second time there is nothing to do."""
    slot = empty()
    assert slot.set_desired(DesiredState.ACTIVE, 0.0) == [StartProcess('active')]
    assert slot.set_desired(DesiredState.ACTIVE, 0.0) == []


# -- what belongs to another time ------------------------------------------------------------------


@pytest.mark.parametrize(
    'event',
    [
        ProcessExited(PID - 1, 'signal 9'),
        ProcessExited(None, 'could not be started'),
        StateReported(PID - 1, 'finalized'),
        WorkerConnected(PID - 1),
        LimitExceeded(PID - 1, 'too long'),
        HeartbeatSeen(PID - 1),
    ],
)
def test_events_of_another_process_are_ignored(event):
    """As those of a former process of the slot."""
    slot = starting()
    assert slot.handle(event, 0.1) == []
    assert (slot.phase, slot.pid, slot.state) == (Phase.STARTING, PID, '')
    slot.handle(StateReported(PID, 'active'), 0.2)
    assert slot.phase is Phase.STARTING, 'not linked by another one'


@pytest.mark.parametrize('make', [empty, in_backoff])
def test_a_failed_start_reported_twice_changes_nothing(make):
    """Without a process, an exit has no meaning."""
    slot = make()
    phase, restarts = slot.phase, slot.restarts
    assert slot.handle(ProcessExited(None, 'no memory'), 0.0) == []
    assert (slot.phase, slot.restarts) == (phase, restarts)


@pytest.mark.parametrize('make', [empty, ending, in_backoff, stopping, replacing])
def test_an_exceeded_limit_matters_only_while_a_worker_is_supervised(make):
    """One that is ending or stopping is not killed for it."""
    slot = make()
    phase = slot.phase
    assert slot.handle(LimitExceeded(PID, 'too long'), 0.0) == []
    assert slot.phase is phase


def test_a_new_process_inherits_nothing_from_the_former_one():
    """Neither its lifecycle state nor its connection nor its place in the pool."""
    slot = ready()
    slot.handle(ProcessExited(PID, 'signal 9'), 1.0)
    slot.handle(ProcessStarted(PID + 1), 1.0)
    assert (slot.pid, slot.state, slot.started_at) == (PID + 1, '', 1.0)
    assert slot.handle(StateReported(PID + 1, 'active'), 1.1) == []
    assert slot.phase is Phase.STARTING
    assert slot.handle(WorkerConnected(PID + 1), 1.2) == [JoinPool()]


def test_a_heartbeat_of_another_process_does_not_count():
    """The worker of the slot has missed its heartbeats."""
    slot = ready()
    slot.handle(HeartbeatSeen(PID - 1), 0.9)
    slot.handle(StateReported(PID - 1, 'active'), 0.9)
    assert of_kind(slot.tick(1.1), KillProcess) != []


def test_a_start_that_is_never_reported_has_failed():
    """After startup_timeout; it counts as a restart."""
    slot = empty()
    slot.set_desired(DesiredState.ACTIVE, 0.0)
    assert slot.tick(29.9) == []
    reason = 'no process within 30 s'
    assert slot.tick(30.0) == [ReleaseItems(reason, suspect=True), StartProcess('active')]
    assert (slot.phase, slot.restarts, slot.last_exit) == (Phase.STARTING, 1, reason)
    assert slot.tick(59.9) == []
    assert of_kind(slot.tick(60.0), StartProcess) == []
    assert slot.phase is Phase.BACKOFF


def test_a_start_that_is_never_reported_does_not_block_stopping():
    """It is waited for no longer than otherwise."""
    slot = empty()
    slot.set_desired(DesiredState.ACTIVE, 0.0)
    slot.set_desired(DesiredState.GONE, 1.0)
    assert slot.tick(29.9) == []
    assert of_kind(slot.tick(30.0), StartProcess) == []
    assert slot.phase is Phase.EMPTY


def timed_out() -> Supervision:
    """Return a slot in BACKOFF at time 60.0, with two starts that were never reported."""
    slot = empty()
    slot.set_desired(DesiredState.ACTIVE, 0.0)
    slot.tick(30.0)
    slot.tick(60.0)
    assert slot.phase is Phase.BACKOFF
    return slot


def test_a_process_reported_after_the_timeout_takes_the_slot():
    """It has the slot's name: a second one must not be started beside it."""
    slot = timed_out()
    assert slot.handle(ProcessStarted(PID), 60.01) == []
    assert (slot.phase, slot.pid) == (Phase.STARTING, PID)
    assert slot.tick(70.0) == []
    slot.handle(WorkerConnected(PID), 70.0)
    assert slot.handle(StateReported(PID, 'active'), 70.1) == [JoinPool()]


def test_a_process_reported_when_none_is_needed_is_ended():
    """The slot was empty; the process is stopped, and its exit awaited."""
    slot = timed_out()
    slot.set_desired(DesiredState.GONE, 60.0)
    assert slot.phase is Phase.EMPTY
    assert slot.handle(ProcessStarted(PID), 61.0) == []
    assert slot.set_desired(DesiredState.ACTIVE, 61.5) == []
    assert slot.tick(62.0) == [TerminateProcess(PID)]
    assert slot.handle(ProcessExited(PID, 'signal 15'), 62.1)[-1] == StartProcess('active')


def test_a_second_process_is_killed_and_the_first_left_alone():
    """Its start was reported after another process had the slot."""
    slot = ready()
    stray = PID + 7
    assert slot.handle(ProcessStarted(stray), 0.1) == [
        KillProcess(stray, 'its start was reported too late')
    ]
    assert slot.handle(ProcessStarted(PID), 0.1) == [], 'its own start was reported twice'
    assert slot.handle(ProcessExited(stray, 'signal 9'), 0.2) == []
    assert (slot.phase, slot.pid) == (Phase.READY, PID)
