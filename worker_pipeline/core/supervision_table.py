# SPDX-License-Identifier: Apache-2.0
"""The phases of a slot, the transitions between them, and supervision's events and actions.

    EMPTY --started, adopted--> STARTING --connected, in desired state--> READY
      ^                           |  ^                                     |  ^
      |        exits, is late,    |  | the backoff has       deactivated   |  | activated
      |        reports an error   v  | passed                manually      v  | again
    STOPPING                  ENDING / BACKOFF <--exits, silent, hangs-- CORDONED

READY leads to ENDING and BACKOFF as CORDONED does. STARTING, READY and CORDONED lead to STOPPING
when the worker is no longer needed or is replaced gracefully. A slot gets a new process only when
the former one has exited.
"""

from __future__ import annotations

import enum
from typing import NamedTuple


class Timing(NamedTuple):
    """The timeouts of supervision, s."""

    heartbeat_timeout: float = 1.0
    startup_timeout: float = 30.0
    request_retry: float = 0.5
    terminate_grace: float = 0.5
    adoption_grace: float = 5.0  # for an adopted worker to report its state
    status_grace: float = 5.0  # for a worker that still sends heartbeats to report its state


class Phase(enum.Enum):
    """The phase of a slot."""

    EMPTY = 'empty'  # no process: none is wanted, or others come first
    STARTING = 'starting'  # a process was requested; it is not ready yet
    READY = 'ready'  # connected, sends heartbeats, and is in its desired lifecycle state
    CORDONED = 'cordoned'  # deactivated manually; left alone until it is activated again
    ENDING = 'ending'  # killed; its exit is awaited before the slot gets a new process
    BACKOFF = 'backoff'  # its process has exited; the next start is delayed
    STOPPING = 'stopping'  # asked to shut down, for good or to be replaced


class DesiredState(enum.Enum):
    """The state in which the slot's worker should be."""

    GONE = 'gone'
    INACTIVE = 'inactive'
    ACTIVE = 'active'


TRANSITIONS: dict[Phase, frozenset[Phase]] = {
    Phase.EMPTY: frozenset({Phase.STARTING}),
    Phase.STARTING: frozenset({Phase.READY, Phase.ENDING, Phase.BACKOFF, Phase.STOPPING}),
    Phase.READY: frozenset({Phase.CORDONED, Phase.ENDING, Phase.BACKOFF, Phase.STOPPING}),
    Phase.CORDONED: frozenset({Phase.READY, Phase.ENDING, Phase.BACKOFF, Phase.STOPPING}),
    Phase.ENDING: frozenset({Phase.BACKOFF, Phase.STOPPING}),
    Phase.BACKOFF: frozenset({Phase.STARTING, Phase.EMPTY}),
    Phase.STOPPING: frozenset({Phase.EMPTY}),
}


HEALTHY = frozenset({Phase.READY, Phase.CORDONED})


class IllegalTransitionError(RuntimeError):
    """A transition that is not in the table: a bug in supervision, never in a user's stage."""


# -- events ------------------------------------------------------------------------------------


class ProcessStarted(NamedTuple):
    """A process was forked for the slot."""

    pid: int


class ProcessExited(NamedTuple):
    """The slot's process has exited; ``pid`` is None when it could not be started."""

    pid: int | None
    reason: str


class StateReported(NamedTuple):
    """The worker reported its lifecycle state over its channel."""

    pid: int
    state: str


class HeartbeatSeen(NamedTuple):
    """The worker's heartbeat was seen in shared memory, which does not show its state."""

    pid: int


class WorkerConnected(NamedTuple):
    """The worker has connected to its stage."""

    pid: int


class LimitExceeded(NamedTuple):
    """The worker exceeded a limit: the time for an item, or its memory."""

    pid: int
    reason: str
    blames_item: bool = True  # whether the item that is being processed is suspected


Event = (
    ProcessStarted | ProcessExited | StateReported | HeartbeatSeen | WorkerConnected | LimitExceeded
)

# -- actions -----------------------------------------------------------------------------------


class StartProcess(NamedTuple):
    """Fork a worker that brings itself to this lifecycle state."""

    target: str


class RequestTransition(NamedTuple):
    """Request a lifecycle transition of the worker."""

    label: str


class TerminateProcess(NamedTuple):
    """Send SIGTERM."""

    pid: int


class KillProcess(NamedTuple):
    """Send SIGKILL, which also ends a stopped process."""

    pid: int
    reason: str


class JoinPool(NamedTuple):
    """Give the worker items from now on."""


class LeavePool(NamedTuple):
    """Give the worker no more items; it still answers those it holds."""


class ReleaseItems(NamedTuple):
    """Requeue the items of a worker that is gone."""

    reason: str
    suspect: bool  # whether the item that was being processed may have been the cause


Action = (
    StartProcess
    | RequestTransition
    | TerminateProcess
    | KillProcess
    | JoinPool
    | LeavePool
    | ReleaseItems
)

# The transition that leads from a lifecycle state towards the desired one.
NEXT_TRANSITION: dict[tuple[str, DesiredState], str] = {
    ('unconfigured', DesiredState.INACTIVE): 'configure',
    ('unconfigured', DesiredState.ACTIVE): 'configure',
    ('inactive', DesiredState.ACTIVE): 'activate',
    ('active', DesiredState.INACTIVE): 'deactivate',
}
PRIMARY = frozenset({'unconfigured', 'inactive', 'active', 'finalized'})  # no hook is running
UNRECOVERABLE = frozenset({'finalized', 'errorprocessing'})
