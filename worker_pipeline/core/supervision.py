"""The supervision of one slot: from what is seen of its worker to what is done about it.

A table of phases, events in the past tense, actions in the imperative:

    EMPTY --goal set, adopted--> STARTING --link verified, at its goal--> READY
      ^                            |  ^                                   |  ^
      |          exits, is late,   |  | the wait is over   deactivated    |  | activated
      |          reports an error  v  |                    by hand        v  | again
    STOPPING                   ENDING / BACKOFF <--exits, silent, hangs-- CORDONED

READY ends as CORDONED does; each of STARTING, READY and CORDONED goes to STOPPING when its worker
is wanted no more or is retired. A slot is filled anew only when its former process has exited.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

from worker_pipeline.core.restart_policy import RestartPolicy


class Phase(enum.Enum):
    """Where the slot stands."""

    EMPTY = 'empty'  # no process, and none wanted
    STARTING = 'starting'  # a process was asked for; it is not yet known to do its work
    READY = 'ready'  # heard, answering, and in the lifecycle state that is wanted
    CORDONED = 'cordoned'  # somebody took it out by hand; it is left alone until activated
    ENDING = 'ending'  # killed; its exit is awaited before the slot is filled anew
    BACKOFF = 'backoff'  # its process is gone; the next start waits
    STOPPING = 'stopping'  # asked to shut down: for good, or so that another takes its place


class Goal(enum.Enum):
    """What the slot's worker should be."""

    GONE = 'gone'
    INACTIVE = 'inactive'
    ACTIVE = 'active'


MOVES: dict[Phase, frozenset[Phase]] = {
    Phase.EMPTY: frozenset({Phase.STARTING}),
    Phase.STARTING: frozenset({Phase.READY, Phase.ENDING, Phase.BACKOFF, Phase.STOPPING}),
    Phase.READY: frozenset({Phase.CORDONED, Phase.ENDING, Phase.BACKOFF, Phase.STOPPING}),
    Phase.CORDONED: frozenset({Phase.READY, Phase.ENDING, Phase.BACKOFF, Phase.STOPPING}),
    Phase.ENDING: frozenset({Phase.BACKOFF, Phase.STOPPING}),
    Phase.BACKOFF: frozenset({Phase.STARTING, Phase.EMPTY}),
    Phase.STOPPING: frozenset({Phase.EMPTY}),
}


HEALTHY = frozenset({Phase.READY, Phase.CORDONED})


class IllegalMoveError(RuntimeError):
    """A move that is not in the table: an error in this module, never in a user's stage."""


# -- events ------------------------------------------------------------------------------------


class ProcessStarted(NamedTuple):
    """A process was forked for the slot."""

    pid: int


class ProcessExited(NamedTuple):
    """The slot's process is gone for certain; ``pid`` is None when it could not be started."""

    pid: int | None
    reason: str


class StateReported(NamedTuple):
    """A heartbeat told the worker's lifecycle state."""

    pid: int
    state: str


class Alive(NamedTuple):
    """A sign of life that came by another way than the worker's line: it tells no state."""

    pid: int


class LinkVerified(NamedTuple):
    """The worker has called: the line between it and its stage is there."""

    pid: int


class LimitExceeded(NamedTuple):
    """The worker took more than it may: time for an item, or memory."""

    pid: int
    reason: str


Event = ProcessStarted | ProcessExited | StateReported | Alive | LinkVerified | LimitExceeded

# -- actions -----------------------------------------------------------------------------------


class StartProcess(NamedTuple):
    """Fork a worker and have it drive itself to this lifecycle state."""

    target: str


class RequestTransition(NamedTuple):
    """Ask the worker, through its lifecycle service, for a transition."""

    label: str


class TerminateProcess(NamedTuple):
    """SIGTERM."""

    pid: int


class KillProcess(NamedTuple):
    """SIGKILL: also ends a stopped process."""

    pid: int
    reason: str


class JoinPool(NamedTuple):
    """The worker may be given work from now on."""


class LeavePool(NamedTuple):
    """The worker may be given no more work; what it holds it will still answer."""


class ReleaseItems(NamedTuple):
    """The worker is gone: what it held goes to others."""

    reason: str
    suspect: bool  # whether the item in work may have been the cause


Action = (
    StartProcess
    | RequestTransition
    | TerminateProcess
    | KillProcess
    | JoinPool
    | LeavePool
    | ReleaseItems
)

# The transition that leads from a lifecycle state towards a goal.
TOWARDS: dict[tuple[str, Goal], str] = {
    ('unconfigured', Goal.INACTIVE): 'configure',
    ('unconfigured', Goal.ACTIVE): 'configure',
    ('inactive', Goal.ACTIVE): 'activate',
    ('active', Goal.INACTIVE): 'deactivate',
}
PRIMARY = frozenset({'unconfigured', 'inactive', 'active', 'finalized'})  # no hook is running
BEYOND_HELP = frozenset({'finalized', 'errorprocessing'})


class Timing(NamedTuple):
    """The times, in seconds, that supervision goes by."""

    heartbeat_timeout: float = 1.0
    startup_timeout: float = 30.0
    request_retry: float = 0.5
    terminate_grace: float = 0.5
    adoption_grace: float = 5.0  # a worker takes its time to find a new manager
    link_grace: float = 5.0  # and to be heard again, while it lives for certain


class Supervision:
    """Supervises one slot. Takes events and the time, returns what to do, does nothing itself."""

    def __init__(self, policy: RestartPolicy, timing: Timing) -> None:
        self.policy = policy
        self.timing = timing
        self.phase = Phase.EMPTY
        self.goal = Goal.GONE
        self.pid: int | None = None
        self.state = ''  # the lifecycle state last reported, '' before the first report
        self.restarts = 0
        self.started_at = 0.0
        self.last_exit = ''
        self._linked = False
        self._pooled = False
        self._adopted = False  # its process was there before the slot's supervision
        self._lived_at = 0.0  # the last sign of life
        self._reported_at = 0.0  # the last report of a state
        self._state_at = 0.0  # since when it reports the same state
        self._requested_at = float('-inf')
        self._deactivating = False  # asked for, and not yet seen to have happened
        self._heading: Goal | None = None  # where a starting process goes by itself
        self._due_at = 0.0  # STARTING, STOPPING: escalation; BACKOFF: the next start
        self._terminated = False

    # -- what people are told ------------------------------------------------------------------

    def reported_state(self, now: float) -> str:
        """The state for diagnostics: the lifecycle state, or a word for what stands in for it."""
        if self.phase is Phase.STOPPING:
            return self.state or 'starting'
        if self.phase is Phase.EMPTY:
            return 'finalized'
        if self.phase in (Phase.READY, Phase.CORDONED):
            return self.state
        if self.policy.failing(now):
            return 'failed'
        return 'replacing' if self.restarts or self.phase is not Phase.STARTING else 'starting'

    @property
    def at_goal(self) -> bool:
        """Whether the slot is as it should be."""
        if self.goal is Goal.GONE:
            return self.phase is Phase.EMPTY
        return self.phase in HEALTHY and self.state == self.goal.value

    # -- what is wanted ------------------------------------------------------------------------

    def set_goal(self, goal: Goal, now: float, *, grace: float = 1.0) -> list[Action]:
        """Say what the worker should be. ``grace``: seconds a shutdown may take before SIGTERM."""
        self.goal = goal
        if goal is not Goal.GONE:
            if self.phase is Phase.EMPTY:
                return self._start(now)
            return self._reconcile(now)
        if self.phase is Phase.EMPTY:
            return []
        if self.phase is Phase.BACKOFF:
            self._move(Phase.EMPTY, now)
            return []
        if self.phase is Phase.STOPPING:
            if not self._terminated:
                # Being retired it may have been given longer than there is now.
                self._due_at = min(self._due_at, now + grace)
            return []
        return self._stop(now, grace)

    def adopt(self, pid: int, goal: Goal, now: float) -> list[Action]:
        """Fill the empty slot with a process that lives already, left by a manager that died."""
        if self.phase is not Phase.EMPTY:
            raise IllegalMoveError(f'{self.phase.name}: only an empty slot can adopt a process')
        self._begin(now)
        self.pid = pid
        self._adopted = True
        return self.set_goal(goal, now)

    def retire(self, now: float, grace: float) -> list[Action]:
        """Replace a worker that is well but no longer as it should be.

        It may finish what it holds, for ``grace`` seconds. That is no restart: nothing is counted,
        and its place is filled as soon as it is gone. Where there is no worker to replace, or it is
        on its way out already, there is nothing to do.
        """
        if self.phase is Phase.STARTING or self.phase in HEALTHY:
            return self._stop(now, grace)
        return []

    def pardon(self, now: float) -> list[Action]:
        """Take the last restart back: the worker died of an item, not of itself."""
        self.policy.pardon(now)
        if self.phase is Phase.BACKOFF:
            return self._start(now)
        return []

    # -- what happens --------------------------------------------------------------------------

    def handle(self, event: Event, now: float) -> list[Action]:
        """Take one event; return what to do. A process's start is told before its exit."""
        if isinstance(event, ProcessStarted):
            return self._started(event.pid, now)
        if event.pid != self.pid:
            return []  # about a process that this slot has left behind
        if isinstance(event, ProcessExited):
            return self._exited(event.reason, now)
        if isinstance(event, LimitExceeded):
            if self.phase is Phase.STARTING or self.phase in HEALTHY:
                return self._kill(event.reason, now)
            return []
        self._lived_at = now
        if isinstance(event, Alive):
            return []
        if isinstance(event, LinkVerified):
            self._linked = True
            return self._reconcile(now)
        self._reported_at = now
        if event.state != self.state:
            self._state_at = now
            if self._heading is self.goal:
                # It is on its way by itself: it is asked only if it gets no further.
                self._requested_at = now
        if self._adopted and not self.state and self.phase is Phase.STARTING:
            # Its own time begins when it is found: finding it may have taken longer than that.
            self._due_at = now + self.timing.startup_timeout
        self.state = event.state
        return self._reconcile(now)

    def tick(self, now: float) -> list[Action]:
        """Let time pass: what is late, silent or due."""
        if self.phase is Phase.STARTING or self.phase in HEALTHY:
            fault = self._fault(now)
            if not fault:
                return self._reconcile(now)
            if self.pid is None:
                return self._exited(fault, now)  # as if it could not be started
            return self._kill(fault, now)
        if self.phase is Phase.BACKOFF and now >= self._due_at:
            return self._start(now)
        if self.phase is Phase.STOPPING:
            return self._press(now)
        return []

    def excuse(self, seconds: float) -> None:
        """For so long nobody could listen: the worker's silence meanwhile is not its own."""
        self._lived_at += seconds
        self._reported_at += seconds
        self._state_at += seconds

    def shown_no_life_for(self, now: float) -> float:
        """The time since the last sign of life of the worker, or since its start, s."""
        return now - self._lived_at

    # -- within ----------------------------------------------------------------------------------

    def _move(self, phase: Phase, now: float) -> None:
        if phase not in MOVES[self.phase]:
            raise IllegalMoveError(f'{self.phase.name} -> {phase.name}')
        self.phase = phase
        if phase in HEALTHY:
            self.policy.went_up(now)
        else:
            self.policy.went_down(now)

    def _begin(self, now: float) -> None:
        # EMPTY -> STARTING, BACKOFF -> STARTING: nothing of the former process is left.
        self._move(Phase.STARTING, now)
        self.pid = None
        self.state = ''
        self._linked = False
        self._adopted = False
        self.started_at = now
        self._lived_at = self._reported_at = self._state_at = now
        self._requested_at = float('-inf')
        self._deactivating = False
        self._heading = None
        self._due_at = now + self.timing.startup_timeout

    def _start(self, now: float) -> list[Action]:
        self._begin(now)
        self._heading = self.goal
        return [StartProcess(self.goal.value)]

    def _started(self, pid: int, now: float) -> list[Action]:
        if self.phase in (Phase.EMPTY, Phase.BACKOFF):
            # Told so late that it was given up. It has the slot's name: nobody else may start
            # while it lives.
            self._begin(now)
            self.pid = pid
            return self.set_goal(self.goal, now)
        if self.pid not in (None, pid):
            return [KillProcess(pid, 'its start was told too late')]
        self.pid = pid
        return []

    def _fault(self, now: float) -> str:
        """What time has shown to be wrong with the process, '' where nothing is."""
        timing = self.timing
        if self.phase is Phase.STARTING:
            if self._adopted and not self.state:
                # It shows whether it lives without being discovered first.
                if self.shown_no_life_for(now) > timing.heartbeat_timeout:
                    return self._silence(now)
                patience = timing.heartbeat_timeout + timing.adoption_grace
                late = now - self._reported_at > patience
                return f'not heard within {patience:g} s of its adoption' if late else ''
            if now >= self._due_at:
                if self.pid is None:
                    return f'its start was not told within {timing.startup_timeout:g} s'
                return f'not ready within {timing.startup_timeout:g} s'
            # A process of our own may be silent while it starts: an import may hold the GIL.
            return self._silence(now) if self._adopted else ''
        silence = self._silence(now)
        if not silence and self.state not in PRIMARY:
            hanging = now - self._state_at
            if hanging > timing.startup_timeout:
                return f'{self.state} for {hanging:.2f} s'
        return silence

    def _silence(self, now: float) -> str:
        """The silence that has lasted too long, '' where none has."""
        silence = self.shown_no_life_for(now)
        if silence > self.timing.heartbeat_timeout:
            return f'no heartbeat for {silence:.2f} s'
        silence = now - self._reported_at
        if silence > self.timing.heartbeat_timeout + self.timing.link_grace:
            return f'lives, but was not heard for {silence:.2f} s'
        return ''

    def _reconcile(self, now: float) -> list[Action]:
        """Compare what is with what should be."""
        supervised = self.phase is Phase.STARTING or self.phase in HEALTHY
        if not supervised or not self.state:
            return []
        if self.state in BEYOND_HELP:
            return self._kill(f'lifecycle state is {self.state}', now)
        asked_to = self._deactivating
        if self.state != 'active':
            self._deactivating = False
        if self.phase is Phase.STARTING:
            if self.state == self.goal.value and self._linked:
                self._heading, self._requested_at = None, float('-inf')
                self._move(Phase.READY, now)  # STARTING -> READY
                return self._join_pool()
            return self._request(now)
        if self.phase is Phase.CORDONED:
            if self.state == 'active' and self.goal is Goal.ACTIVE:
                self._move(Phase.READY, now)  # CORDONED -> READY
                return self._join_pool()
            return []
        if self._pooled and self.state != 'active':
            if asked_to:
                # We asked, and changed our mind before it happened: nobody took it out by hand.
                return [*self._leave_pool(), *self._request(now)]
            # READY -> CORDONED: in the pool and no longer active, and it was not we who asked.
            self._move(Phase.CORDONED, now)
            return self._leave_pool()
        if self.goal is Goal.INACTIVE:
            return [*self._leave_pool(), *self._request(now)]
        if self.state == 'active':
            return self._join_pool()
        return self._request(now)

    def _request(self, now: float) -> list[Action]:
        label = TOWARDS.get((self.state, self.goal))
        if label is None or now - self._requested_at < self.timing.request_retry:
            return []
        self._requested_at = now
        self._deactivating = label == 'deactivate'
        return [RequestTransition(label)]

    def _exited(self, reason: str, now: float) -> list[Action]:
        was = self.phase
        if was in (Phase.EMPTY, Phase.BACKOFF):
            return []  # told twice of a process that could not be started
        self.pid = None
        self.last_exit = reason
        actions = self._leave_pool()
        # An idle worker's death suspects nobody: the ledger knows what was in work.
        actions.append(ReleaseItems(reason, suspect=was is not Phase.STOPPING))
        if self.goal is Goal.GONE:
            self._move(Phase.EMPTY, now)  # STOPPING -> EMPTY
            return actions
        # STARTING, READY, CORDONED, ENDING -> BACKOFF, and on to STARTING where no wait is due
        if was is Phase.STOPPING:
            self._move(Phase.EMPTY, now)
        else:
            self._move(Phase.BACKOFF, now)
            self.restarts += 1
            self._due_at = now + self.policy.delay(now)
            if self._due_at > now:
                return actions
        return actions + self._start(now)

    def _kill(self, reason: str, now: float) -> list[Action]:
        assert self.pid is not None, 'only a slot with a process can be killed'
        self._move(Phase.ENDING, now)
        return [*self._leave_pool(), KillProcess(self.pid, reason)]

    def _stop(self, now: float, grace: float) -> list[Action]:
        """STARTING, READY, CORDONED, ENDING -> STOPPING."""
        # A process that was killed already needs no second signal, only its exit.
        self._terminated = self.phase is Phase.ENDING
        self._move(Phase.STOPPING, now)
        self._due_at = now + grace
        return [*self._leave_pool(), *self._ask_to_shut_down(now)]

    def _ask_to_shut_down(self, now: float) -> list[Action]:
        if self.state not in ('unconfigured', 'inactive', 'active'):
            return []
        self._requested_at = now
        return [RequestTransition('shutdown')]

    def _press(self, now: float) -> list[Action]:
        """STOPPING: ask again, then SIGTERM, then SIGKILL."""
        if self.pid is None:
            timeout = self.timing.startup_timeout
            if now < self.started_at + timeout:
                return []  # it may still be told of; then it is pressed
            return self._exited(f'its start was not told within {timeout:g} s', now)
        if now < self._due_at:
            if now - self._requested_at >= self.timing.request_retry:
                return self._ask_to_shut_down(now)
            return []
        self._due_at = now + self.timing.terminate_grace
        if not self._terminated:
            self._terminated = True
            return [TerminateProcess(self.pid)]
        return [KillProcess(self.pid, 'did not end in time')]

    def _join_pool(self) -> list[Action]:
        if self._pooled or self.state != 'active':
            return []
        self._pooled = True
        return [JoinPool()]

    def _leave_pool(self) -> list[Action]:
        if not self._pooled:
            return []
        self._pooled = False
        return [LeavePool()]
