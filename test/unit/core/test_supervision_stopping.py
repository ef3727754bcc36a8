# SPDX-License-Identifier: Apache-2.0
"""How workers are stopped and replaced gracefully."""

from __future__ import annotations

import pytest
from support.supervisions import (
    PID,
    cordoned,
    empty,
    ending,
    in_backoff,
    of_kind,
    replacing,
    starting,
    stopping,
)

from worker_pipeline.core.supervision_table import (
    DesiredState,
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

# -- stopping --------------------------------------------------------------------------------------


def test_stopping_escalates():
    """Requests are repeated; after the grace follow SIGTERM, then SIGKILL until it has exited."""
    slot = stopping()
    assert slot.tick(0.4) == []
    assert slot.tick(0.5) == [RequestTransition('shutdown')]
    assert slot.tick(2.0) == [TerminateProcess(PID)]
    assert slot.tick(2.4) == [RequestTransition('shutdown')]
    assert slot.tick(2.45) == []
    assert slot.tick(2.5) == [KillProcess(PID, 'did not exit in time')]
    assert slot.tick(3.0) == [KillProcess(PID, 'did not exit in time')]


def test_a_worker_that_reported_nothing_gets_signals_only():
    """It may have no services yet."""
    slot = starting()
    assert slot.set_desired(DesiredState.GONE, 0.0, grace=1.0) == []
    assert slot.tick(0.9) == []
    assert slot.tick(1.0) == [TerminateProcess(PID)]


def test_a_process_that_starts_while_stopping_is_ended_too():
    """It was requested before the desired state changed."""
    slot = empty()
    slot.set_desired(DesiredState.ACTIVE, 0.0)
    assert slot.set_desired(DesiredState.GONE, 0.1, grace=1.0) == []
    assert slot.tick(2.0) == []
    slot.handle(ProcessStarted(PID), 2.1)
    assert slot.tick(2.2) == [TerminateProcess(PID)]
    slot.handle(ProcessExited(PID, 'signal 15'), 2.3)
    assert slot.phase is Phase.EMPTY


def test_a_worker_needed_again_while_stopping_starts_after_the_exit():
    """Never two at once: the shutdown continues, and then a new process is started."""
    slot = stopping()
    assert slot.set_desired(DesiredState.ACTIVE, 0.1) == []
    assert slot.phase is Phase.STOPPING
    assert slot.handle(ProcessExited(PID, 'exit code 0'), 0.5) == [
        ReleaseItems('exit code 0', suspect=False),
        StartProcess('active'),
    ]
    assert (slot.phase, slot.restarts) == (Phase.STARTING, 0)


def test_stopping_twice_does_not_restart_the_grace_period():
    """It runs from the first time."""
    slot = stopping()
    assert slot.set_desired(DesiredState.GONE, 1.9, grace=2.0) == []
    assert slot.tick(2.0) == [TerminateProcess(PID)]


@pytest.mark.parametrize('make', [stopping, replacing])
def test_a_shorter_grace_shortens_a_longer_one(make):
    """At shutdown there is less time than a graceful replacement was given."""
    slot = make()
    assert slot.set_desired(DesiredState.GONE, 0.1, grace=1.0) == []
    assert of_kind(slot.tick(1.0), TerminateProcess) == []
    assert slot.tick(1.1) == [TerminateProcess(PID)]
    slot.set_desired(DesiredState.GONE, 1.2, grace=0.1)
    assert of_kind(slot.tick(1.5), KillProcess) == [], 'pressed already, at its own pace'


# -- replacing -------------------------------------------------------------------------------------


def test_a_graceful_replacement_starts_as_soon_as_the_worker_has_exited():
    """No restart is counted, and no item is a suspect."""
    slot = replacing()
    assert slot.handle(StateReported(PID, 'active'), 0.1) == []
    assert slot.handle(ProcessExited(PID, 'exit code 0'), 1.0) == [
        ReleaseItems('exit code 0', suspect=False),
        StartProcess('active'),
    ]
    assert (slot.phase, slot.restarts) == (Phase.STARTING, 0)
    slot.handle(ProcessStarted(PID + 1), 1.0)
    assert slot.handle(ProcessExited(PID + 1, 'signal 9'), 1.1)[-1] == StartProcess('active'), (
        'the first restart is immediate still'
    )


def test_a_graceful_replacement_escalates_after_the_grace():
    """Like a shutdown."""
    slot = replacing(grace=60.0)
    for half in range(1, 120):
        assert slot.tick(half / 2) == [RequestTransition('shutdown')]
    assert slot.tick(60.0) == [TerminateProcess(PID)]
    assert slot.tick(60.5) == [KillProcess(PID, 'did not exit in time')]
    assert slot.phase is Phase.STOPPING
    assert slot.handle(ProcessExited(PID, 'signal 9'), 60.6)[-1] == StartProcess('active')


def test_a_starting_worker_is_replaced_gracefully_too():
    """It starts with an outdated configuration."""
    slot = starting()
    slot.handle(StateReported(PID, 'inactive'), 0.1)
    assert slot.replace_gracefully(0.2, 1.0) == [RequestTransition('shutdown')]
    assert slot.handle(WorkerConnected(PID), 0.3) == []
    assert slot.handle(StateReported(PID, 'active'), 0.3) == [], 'it does not join any more'
    assert slot.handle(ProcessExited(PID, 'exit code 0'), 0.4)[-1] == StartProcess('active')


def test_a_worker_whose_start_is_not_reported_yet_is_replaced_gracefully_too():
    """It is ended as soon as its pid is known."""
    slot = empty()
    slot.set_desired(DesiredState.ACTIVE, 0.0)
    assert slot.replace_gracefully(0.1, 1.0) == []
    slot.handle(ProcessStarted(PID), 0.2)
    assert slot.tick(1.1) == [TerminateProcess(PID)]
    assert slot.handle(ProcessExited(PID, 'signal 15'), 1.2)[-1] == StartProcess('active')


def test_a_cordoned_worker_is_replaced_gracefully_too():
    """Its successor goes to the desired state."""
    slot = cordoned()
    assert slot.replace_gracefully(0.2, 1.0) == [RequestTransition('shutdown')]
    assert slot.handle(ProcessExited(PID, 'exit code 0'), 0.4)[-1] == StartProcess('active')


def test_a_worker_being_replaced_that_is_no_longer_needed_has_no_successor():
    """The slot is empty then."""
    slot = replacing()
    assert slot.set_desired(DesiredState.GONE, 0.1, grace=5.0) == []
    assert slot.handle(ProcessExited(PID, 'exit code 0'), 0.4) == [
        ReleaseItems('exit code 0', suspect=False)
    ]
    assert slot.phase is Phase.EMPTY


def test_the_successor_of_a_replaced_worker_has_the_latest_desired_state():
    """As after a pause in between."""
    slot = replacing()
    assert slot.set_desired(DesiredState.INACTIVE, 0.1) == []
    assert slot.handle(ProcessExited(PID, 'exit code 0'), 0.4)[-1] == StartProcess('inactive')


@pytest.mark.parametrize('make', [empty, ending, in_backoff, stopping, replacing])
def test_a_graceful_replacement_without_a_worker_does_nothing(make):
    """The next worker starts with the new configuration anyway."""
    slot = make()
    phase, due = slot.phase, slot._due_at
    assert slot.replace_gracefully(0.0, 60.0) == []
    assert (slot.phase, slot._due_at) == (phase, due)
