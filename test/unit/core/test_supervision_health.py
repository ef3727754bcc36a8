# SPDX-License-Identifier: Apache-2.0
"""Restarts and refunds, and the state that a slot reports."""

from __future__ import annotations

import pytest
from support.supervisions import (
    PID,
    cordoned,
    empty,
    ending,
    in_backoff,
    ready,
    replacing,
    starting,
    stopping,
)

from worker_pipeline.core.reported_state import reported_state
from worker_pipeline.core.supervision import Supervision
from worker_pipeline.core.supervision_table import (
    DesiredState,
    LimitExceeded,
    Phase,
    ProcessExited,
    ProcessStarted,
    StartProcess,
    StateReported,
    WorkerConnected,
)

# -- health, and refunds ---------------------------------------------------------------------------


def fail(slot: Supervision, times: int, now: float) -> None:
    """Let starts of the slot fail, each as soon as it is due."""
    for _ in range(times):
        slot.tick(max(now, slot._due_at) if slot.phase is Phase.BACKOFF else now)
        assert slot.phase is Phase.STARTING
        slot.handle(ProcessExited(slot.pid, 'exit code 1'), now)


def test_a_slot_that_never_comes_up_stays_failed():
    """However long its starts and delays are: only healthy time counts."""
    slot = empty(limit=2, window=30.0)
    slot.set_desired(DesiredState.ACTIVE, 0.0)
    now = 0.0
    for pid in range(PID, PID + 20):
        slot.handle(ProcessStarted(pid), now)
        now += 40.0
        slot.handle(ProcessExited(pid, 'exit code 1'), now)
        if pid > PID + 2:
            assert reported_state(slot, now) == 'failed'
            assert slot._due_at - now >= 5.0, 'at the longest backoff'
        if slot.phase is Phase.BACKOFF:
            now = slot._due_at
            assert slot.tick(now) == [StartProcess('active')]


def test_healthy_time_resets_the_backoff():
    """After restart_window in READY the next restart is immediate."""
    slot = empty(limit=2, window=30.0)
    slot.set_desired(DesiredState.ACTIVE, 0.0)
    fail(slot, 3, 0.0)
    slot.tick(slot._due_at)
    slot.handle(ProcessStarted(PID), 20.0)
    slot.handle(StateReported(PID, 'active'), 20.0)
    slot.handle(WorkerConnected(PID), 20.0)
    assert slot.policy.failing(50.0)
    assert not slot.policy.failing(50.1)
    assert slot.handle(ProcessExited(PID, 'signal 9'), 50.1)[-1] == StartProcess('active')


def test_a_cordoned_worker_is_healthy():
    """Its time counts like that of an active one."""
    slot = empty(limit=0, window=30.0)
    slot.set_desired(DesiredState.ACTIVE, 0.0)
    fail(slot, 1, 0.0)
    slot.handle(ProcessStarted(PID), 0.0)
    slot.handle(WorkerConnected(PID), 10.0)
    slot.handle(StateReported(PID, 'active'), 10.0)
    slot.handle(StateReported(PID, 'inactive'), 20.0)
    slot.handle(StateReported(PID, 'active'), 30.0)
    assert slot.policy.failing(40.0)
    assert not slot.policy.failing(40.1)


@pytest.mark.parametrize(
    'leave',
    [
        lambda slot: slot.handle(LimitExceeded(PID, 'too long'), 10.0),
        lambda slot: slot.handle(ProcessExited(PID, 'signal 9'), 10.0),
        lambda slot: slot.replace_gracefully(10.0, 1000.0),
        lambda slot: slot.set_desired(DesiredState.GONE, 10.0),
    ],
)
@pytest.mark.parametrize('by_hand', [False, True])
def test_healthy_time_ends_with_ready(leave, by_hand: bool):
    """When the worker is killed, exits or is stopped."""
    slot = empty(limit=0, window=30.0)
    slot.set_desired(DesiredState.ACTIVE, 0.0)
    fail(slot, 1, 0.0)
    slot.handle(ProcessStarted(PID), 0.0)
    slot.handle(WorkerConnected(PID), 0.0)
    slot.handle(StateReported(PID, 'active'), 0.0)
    if by_hand:
        slot.handle(StateReported(PID, 'inactive'), 5.0)
    leave(slot)
    assert slot.policy.failing(1000.0)


def test_a_refund_starts_a_waiting_slot_at_once():
    """The cause was an item that is in quarantine now."""
    slot = in_backoff()
    assert slot.refund_restart(0.0) == [StartProcess('active')]
    assert (slot.phase, slot.restarts) == (Phase.STARTING, 2), 'the count people see stays'
    assert slot.tick(0.2) == [], 'one start'


def test_a_refunded_restart_delays_no_later_one():
    """The policy does not count it; the counter in the diagnostics does."""
    slot = ready(limit=0)
    slot.handle(ProcessExited(PID, 'signal 9'), 0.0)
    assert slot.refund_restart(0.0) == [], 'it is starting already'
    assert reported_state(slot, 0.0) == 'replacing'
    slot.handle(ProcessStarted(PID + 1), 0.0)
    assert slot.handle(ProcessExited(PID + 1, 'signal 9'), 0.1)[-1] == StartProcess('active')
    assert slot.restarts == 2
    assert reported_state(slot, 0.1) == 'failed'


@pytest.mark.parametrize('make', [empty, starting, ready, cordoned, ending, stopping, replacing])
def test_a_refund_in_other_phases_starts_nothing(make):
    """There is a process, or none is needed."""
    slot = make()
    phase = slot.phase
    assert slot.refund_restart(0.0) == []
    assert slot.phase is phase


def test_a_refund_for_a_slot_that_is_not_needed_starts_nothing():
    """Its delay has ended with its desired state."""
    slot = in_backoff()
    slot.set_desired(DesiredState.GONE, 0.0)
    assert slot.refund_restart(0.0) == []
    assert slot.phase is Phase.EMPTY


def test_failed_starts_are_forgiven_when_their_configuration_has_been_changed():
    """The next start is at once, and they delay no later one; other restarts count."""
    slot = empty(limit=2, window=30.0, backoff_max=10.0)
    slot.set_desired(DesiredState.ACTIVE, 0.0)
    fail(slot, 5, 0.0)
    assert reported_state(slot, 1.0) == 'failed'
    slot.forgive(1.0)
    assert reported_state(slot, 1.0) == 'replacing'
    assert slot.tick(1.0) == [StartProcess('active')]
    assert slot.handle(ProcessExited(None, 'exit code 1'), 1.0)[-1] == StartProcess('active')


def test_forgiving_a_worker_that_is_well_changes_nothing():
    slot = ready(limit=0)
    slot.forgive(1.0)
    assert slot.phase is Phase.READY
    assert slot.tick(1.0) == []


# -- the reported state ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('make', 'state'),
    [
        (empty, 'finalized'),
        (starting, 'starting'),
        (ready, 'active'),
        (cordoned, 'inactive'),
        (ending, 'replacing'),
        (in_backoff, 'replacing'),
        (stopping, 'active'),
    ],
)
def test_the_reported_state_is_the_lifecycle_state_or_a_word_of_the_contract(make, state: str):
    """Such as ``replacing``, if the lifecycle state does not count yet."""
    assert reported_state(make(), 0.0) == state


def test_a_replacement_is_reported_as_replacing_until_it_is_ready():
    """Only the first worker of a slot is 'starting'."""
    slot = ready()
    slot.handle(ProcessExited(PID, 'signal 9'), 0.0)
    slot.handle(ProcessStarted(PID + 1), 0.0)
    assert reported_state(slot, 0.0) == 'replacing'


def test_a_slot_that_restarts_too_often_is_reported_as_failed_and_keeps_trying():
    """After more than restart_limit restarts within restart_window."""
    slot = starting(limit=2)
    for pid in range(PID, PID + 3):
        slot.handle(ProcessExited(pid, 'exit code 1'), 0.0)
        slot.tick(0.0 if slot.phase is Phase.STARTING else slot._due_at)
        slot.handle(ProcessStarted(pid + 1), 0.0)
    assert reported_state(slot, 0.0) == 'failed'
    slot.handle(WorkerConnected(PID + 3), 1.0)
    slot.handle(StateReported(PID + 3, 'active'), 1.0)
    assert reported_state(slot, 1.0) == 'active'


def test_a_stopping_worker_without_a_report_is_reported_as_starting():
    """There is no lifecycle state yet."""
    slot = starting()
    slot.set_desired(DesiredState.GONE, 0.0)
    assert reported_state(slot, 0.0) == 'starting'
