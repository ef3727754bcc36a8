# SPDX-License-Identifier: Apache-2.0
"""Slots in each phase of their supervision."""

from __future__ import annotations

import random
from typing import Any

from worker_pipeline.core.restart_policy import RestartPolicy
from worker_pipeline.core.supervision import Supervision
from worker_pipeline.core.supervision_table import (
    Action,
    DesiredState,
    LeavePool,
    LimitExceeded,
    Phase,
    ProcessExited,
    ProcessStarted,
    RequestTransition,
    StateReported,
    Timing,
    WorkerConnected,
)

TIMING = Timing(
    heartbeat_timeout=1.0,
    startup_timeout=30.0,
    request_retry=0.5,
    terminate_grace=0.5,
    adoption_grace=5.0,
    status_grace=5.0,
)
PID = 100


def empty(**policy: Any) -> Supervision:
    """Return a new slot."""
    settings = {'backoff_max': 10.0, 'limit': 5, 'window': 30.0, **policy}
    return Supervision(RestartPolicy(random_source=random.Random(1), **settings), TIMING)


def starting(desired: DesiredState = DesiredState.ACTIVE, **policy: Any) -> Supervision:
    """Return a slot at time 0.0 with a forked process that has reported nothing yet."""
    slot = empty(**policy)
    slot.set_desired(desired, 0.0)
    slot.handle(ProcessStarted(PID), 0.0)
    return slot


def ready(desired: DesiredState = DesiredState.ACTIVE, **policy: Any) -> Supervision:
    """Return a slot at time 0.0 with a connected worker in its desired state."""
    slot = starting(desired, **policy)
    slot.handle(WorkerConnected(PID), 0.0)
    slot.handle(StateReported(PID, desired.value), 0.0)
    assert slot.phase is Phase.READY
    return slot


def adopted(desired: DesiredState = DesiredState.ACTIVE) -> Supervision:
    """Return a slot at time 0.0 that has adopted a process, which has reported nothing yet."""
    slot = empty()
    assert slot.adopt(PID, desired, 0.0) == []
    assert slot.phase is Phase.STARTING
    return slot


def replacing(grace: float = 2.0) -> Supervision:
    """Return a slot at time 0.0 with an active worker being replaced gracefully."""
    slot = ready()
    assert slot.replace_gracefully(0.0, grace) == [LeavePool(), RequestTransition('shutdown')]
    assert slot.phase is Phase.STOPPING
    return slot


def keep_up(slot: Supervision, until: float, state: str = 'active', since: float = 0.0) -> None:
    """Report the same state twice a second, let time pass, and expect no action."""
    for half in range(round(2 * since) + 1, round(2 * until) + 1):
        assert slot.handle(StateReported(PID, state), half / 2) == []
        assert slot.tick(half / 2) == []


def cordoned() -> Supervision:
    """Return a slot at time 0.0 with a manually deactivated worker."""
    slot = ready()
    slot.handle(StateReported(PID, 'inactive'), 0.0)
    assert slot.phase is Phase.CORDONED
    return slot


def ending() -> Supervision:
    """Return a slot at time 0.0 with a killed worker that has not exited yet."""
    slot = ready()
    slot.handle(LimitExceeded(PID, 'too long'), 0.0)
    assert slot.phase is Phase.ENDING
    return slot


def in_backoff() -> Supervision:
    """Return a slot that waits for its second restart, at ``_due_at``."""
    slot = ready()
    for pid in (PID, PID + 1):
        slot.handle(ProcessExited(pid, 'signal 9'), 0.0)
        if slot.phase is Phase.STARTING:
            slot.handle(ProcessStarted(PID + 1), 0.0)
    assert slot.phase is Phase.BACKOFF
    return slot


def stopping() -> Supervision:
    """Return a slot at time 0.0 with an active worker asked to shut down within 2.0 s."""
    slot = ready()
    slot.set_desired(DesiredState.GONE, 0.0, grace=2.0)
    assert slot.phase is Phase.STOPPING
    return slot


def of_kind(actions: list[Action], kind: type) -> list[Action]:
    return [each for each in actions if isinstance(each, kind)]
