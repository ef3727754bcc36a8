# SPDX-License-Identifier: Apache-2.0
"""The supervision of one slot: decides, from its worker's events, which action to take."""

from __future__ import annotations

from worker_pipeline.core.activity import Activity
from worker_pipeline.core.admission import Admission, Unrestricted
from worker_pipeline.core.deadlines import Deadlines
from worker_pipeline.core.restart_policy import RestartPolicy
from worker_pipeline.core.supervision_table import (
    HEALTHY,
    NEXT_TRANSITION,
    TRANSITIONS,
    UNRECOVERABLE,
    Action,
    DesiredState,
    Event,
    HeartbeatSeen,
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
    TerminateProcess,
    Timing,
    WorkerConnected,
)


class Supervision:
    """The state machine of one slot: takes events and the time, and returns actions.

    Times are s of a monotonic clock. Until ``admission`` admits it, a slot stays empty or inactive.
    """

    def __init__(
        self, policy: RestartPolicy, timing: Timing, admission: Admission | None = None
    ) -> None:
        self.policy = policy
        self.timing = timing
        self._admission = admission or Unrestricted()
        self.activity = Activity(timing.request_retry)
        self.failed_starts = 0  # processes in a row that could not become what they should
        self.phase = Phase.EMPTY
        self.desired = DesiredState.GONE
        self.pid: int | None = None
        self.state = ''  # the last reported lifecycle state, '' before the first report
        self.restarts = 0
        self.starts = 0  # processes so far, an adopted one included
        self.started_at = 0.0
        self.last_exit = ''
        self._connected = False
        self._pooled = False
        self._adopted = False  # its process was started by an earlier manager
        self._deadlines = Deadlines(timing)
        self._blames_item = True  # whether an item may have caused the end of the process
        self._requested_at = float('-inf')
        self._deactivating = False  # requested, and not reported yet
        self._self_target: DesiredState | None = None  # where a starting process brings itself
        self._due_at = 0.0  # of the escalation in STARTING and STOPPING, of the start in BACKOFF
        self._terminated = False

    # -- state -----------------------------------------------------------------------------------

    @property
    def converged(self) -> bool:
        """Return whether the slot is in its desired state."""
        if self.desired is DesiredState.GONE:
            return self.phase is Phase.EMPTY
        return self.phase in HEALTHY and self.state == self.desired.value

    @property
    def has_process(self) -> bool:
        """Return whether there is a process, or may be one that is being started or killed."""
        return self.phase not in (Phase.EMPTY, Phase.BACKOFF)

    @property
    def is_starting(self) -> bool:
        """Return whether a process of this manager is not ready yet."""
        return self.phase is Phase.STARTING and not self._adopted

    # -- commands --------------------------------------------------------------------------------

    def set_desired(self, desired: DesiredState, now: float, *, grace: float = 1.0) -> list[Action]:
        """Set the desired state.

        Args:
            desired: the state.
            now: s.
            grace: s that a shutdown may take before SIGTERM.
        """
        self.desired = desired
        if desired is not DesiredState.GONE:
            return self._start(now) if self.phase is Phase.EMPTY else self.reconcile(now)
        if self.phase is Phase.BACKOFF:
            self._move(Phase.EMPTY, now)
        elif self.phase is Phase.STOPPING:
            if not self._terminated:
                # Replaced gracefully, it may have been given more time than there is now.
                self._due_at = min(self._due_at, now + grace)
        elif self.phase is not Phase.EMPTY:
            return self._stop(now, grace)
        return []

    def adopt(self, pid: int, desired: DesiredState, now: float) -> list[Action]:
        """Put a process that an earlier manager started into the empty slot."""
        if self.phase is not Phase.EMPTY:
            raise IllegalTransitionError(f'{self.phase.name}: only an empty slot can adopt')
        self._begin(now)
        self.pid = pid
        self._adopted = True
        self.activity.started(now, becomes_active=True)
        return self.set_desired(desired, now)

    def replace_gracefully(self, now: float, grace: float) -> list[Action]:
        """Replace a worker, unless there is none, or it is stopping: no restart is counted.

        It may finish the items it holds for ``grace`` s; the next one starts when it has exited.
        """
        return self._stop(now, grace) if self._is_supervised else []

    def refund_restart(self, now: float) -> list[Action]:
        """Refund the last restart: the cause was an item, not the worker."""
        self.policy.refund(now)
        return self._start(now) if self.phase is Phase.BACKOFF else []

    def forgive(self, now: float) -> None:
        """Start anew soon: it was the configuration that failed, and it has been changed."""
        for _ in range(self.failed_starts):
            self.policy.refund(now)
        self.failed_starts = 0
        if self.phase is Phase.BACKOFF:
            self._due_at = now

    # -- events ----------------------------------------------------------------------------------

    def handle(self, event: Event, now: float) -> list[Action]:
        """Handle one event; of each process, ``ProcessStarted`` has to come first."""
        if isinstance(event, ProcessStarted):
            return self._started(event.pid, now)
        if event.pid != self.pid:
            return []  # about a former process of this slot
        if isinstance(event, ProcessExited):
            return self._exited(event.reason, now)
        if isinstance(event, LimitExceeded):
            if not self._is_supervised:
                return []
            return self._kill(event.reason, now, blames_item=event.blames_item)
        self._deadlines.heartbeat_at = now
        if isinstance(event, HeartbeatSeen):
            return []
        if isinstance(event, WorkerConnected):
            self._connected = True
        else:
            self._state_reported(event.state, now)
        return self.reconcile(now)

    def _state_reported(self, state: str, now: float) -> None:
        self._deadlines.reported_at = now
        self.activity.reported(state, now)
        self.failed_starts = 0 if state == 'active' else self.failed_starts
        if state != self.state:
            self._deadlines.state_at = now
            # The way to inactive is the first part of the way to active.
            if self._self_target is self.desired or (self._self_target and state == 'unconfigured'):
                # It changes its state by itself; a request follows only if it gets stuck.
                self._requested_at = now
        if self._adopted and not self.state and self.phase is Phase.STARTING:
            # Its start-up time runs from its first report: until then it was being discovered.
            self._due_at = now + self.timing.startup_timeout
        self.state = state

    def tick(self, now: float) -> list[Action]:
        """Let time pass, and act on deadlines."""
        if self._is_supervised:
            reason = self._missed_deadline(now)
            if not reason:
                return self.reconcile(now)
            if self.pid is None:
                return self._exited(reason, now)  # like a process that could not be started
            return self._kill(reason, now)
        waits = self.phase is Phase.EMPTY and self.desired is not DesiredState.GONE
        if waits or (self.phase is Phase.BACKOFF and now >= self._due_at):
            return self._start(now)
        if self.phase is Phase.STOPPING:
            return self._escalate(now)
        return []

    def extend_deadlines(self, seconds: float, silent_from: float = float('-inf')) -> None:
        """Shift the deadlines by a pause. ``silent_from``: when silence counts from, at least."""
        self._deadlines.extend(seconds, silent_from)
        self.activity.extend(seconds)
        self.started_at += seconds
        self._requested_at += seconds
        if self.phase is not Phase.BACKOFF:  # a delayed start need not wait for longer
            self._due_at += seconds

    def time_since_heartbeat(self, now: float) -> float:
        """Return the time since the worker's last heartbeat, or since its start."""
        return now - self._deadlines.heartbeat_at

    # -- internals -------------------------------------------------------------------------------

    @property
    def _is_supervised(self) -> bool:
        return self.phase is Phase.STARTING or self.phase in HEALTHY

    def _move(self, phase: Phase, now: float) -> None:
        if phase not in TRANSITIONS[self.phase]:
            raise IllegalTransitionError(f'{self.phase.name} -> {phase.name}')
        self.phase = phase
        (self.policy.went_up if phase in HEALTHY else self.policy.went_down)(now)

    def _begin(self, now: float) -> None:
        # EMPTY -> STARTING, BACKOFF -> STARTING. Everything about the former process is reset.
        self._move(Phase.STARTING, now)
        self.starts += 1
        self.pid = None
        self.state = ''
        self._connected = False
        self._adopted = False
        self.started_at = now
        self._deadlines.reset(now)
        self._requested_at = float('-inf')
        self._deactivating = False
        self._self_target = None
        self._due_at = now + self.timing.startup_timeout
        self._blames_item = True
        self.activity.started(now, becomes_active=False)

    def _start(self, now: float) -> list[Action]:
        if not self._admission.may_start(now):
            return []  # it stays EMPTY or in BACKOFF, and the next tick tries again
        target = self.desired
        if target is DesiredState.ACTIVE and not self._admission.may_activate(now):
            target = DesiredState.INACTIVE
        self._begin(now)
        self._self_target = target
        self.activity.started(now, becomes_active=target is DesiredState.ACTIVE)
        return [StartProcess(target.value)]

    def _started(self, pid: int, now: float) -> list[Action]:
        if self.phase in (Phase.EMPTY, Phase.BACKOFF):
            # Its start was reported after the timeout. It has the slot's name, so no other process
            # may be started while it lives.
            self._begin(now)
            self.activity.started(now, becomes_active=True)
            self.pid = pid
            return self.set_desired(self.desired, now)
        if self.pid not in (None, pid):
            return [KillProcess(pid, 'its start was reported too late')]
        self.pid = pid
        return []

    def _missed_deadline(self, now: float) -> str:
        """Return which deadline the process has missed, '' if none."""
        if self.phase is not Phase.STARTING:
            return self._deadlines.missed(self.state, now)
        if self._adopted and not self.state:
            return self._deadlines.missed_after_adoption(now)
        if now >= self._due_at:
            return self._deadlines.late_start(has_process=self.pid is not None)
        # While it starts, a process may miss heartbeats: an import may hold the GIL.
        return self._deadlines.missing_messages(now) if self._adopted else ''

    def reconcile(self, now: float) -> list[Action]:
        """Compare the reported state with the desired one, and request the next transition."""
        if not self._is_supervised or not self.state:
            return []
        if self.state in UNRECOVERABLE:
            return self._kill(f'lifecycle state is {self.state}', now)
        requested = self._deactivating
        if self.state != 'active':
            self._deactivating = False
        if self.phase is Phase.STARTING:
            return self._reconcile_starting(now)
        if self.phase is Phase.CORDONED:
            if self.state != 'active':
                return []
            self._move(Phase.READY, now)  # CORDONED -> READY
        return self._reconcile_ready(now, requested)

    def _reconcile_starting(self, now: float) -> list[Action]:
        if self.state != self.desired.value or not self._connected:
            return self._request(now)
        self._self_target, self._requested_at = None, float('-inf')
        self._move(Phase.READY, now)  # STARTING -> READY
        return self._join_pool()

    def _reconcile_ready(self, now: float, requested: bool) -> list[Action]:
        """Reconcile a ready worker. ``requested``: whether its deactivation was requested."""
        if self._pooled and self.state != 'active':
            if requested:
                # Deactivated at our own request, which has been revoked since: not cordoned.
                return [*self._leave_pool(), *self._request(now)]
            # READY -> CORDONED: in the pool, no longer active, and not at our request.
            self._move(Phase.CORDONED, now)
            return self._leave_pool()
        if self.desired is DesiredState.INACTIVE:
            return [*self._leave_pool(), *self._request(now)]
        if self.state == 'active':
            return self._join_pool()
        return self._request(now)

    def _request(self, now: float) -> list[Action]:
        label = NEXT_TRANSITION.get((self.state, self.desired))
        if label is None or now - self._requested_at < self.timing.request_retry:
            return []
        if label == 'activate':
            if not self._admission.may_activate(now):
                self._due_at = max(self._due_at, now + self.timing.startup_timeout)
                return []  # it is not late: it waits for another worker
            self.activity.activation_requested(now)
        self._requested_at = now
        self._deactivating = label == 'deactivate'
        return [RequestTransition(label)]

    def _exited(self, reason: str, now: float) -> list[Action]:
        was = self.phase
        if was in (Phase.EMPTY, Phase.BACKOFF):
            return []  # reported twice for a process that could not be started
        self.failed_starts += was is Phase.STARTING or (was in HEALTHY and self.activity.has_failed)
        self.pid = None
        self.activity.exited()
        self.last_exit = reason
        # The ledger knows whether an item was being processed; an idle worker has no suspect.
        suspect = was is not Phase.STOPPING and self._blames_item
        actions = [*self._leave_pool(), ReleaseItems(reason, suspect)]
        if self.desired is DesiredState.GONE:
            self._move(Phase.EMPTY, now)  # STOPPING -> EMPTY
            return actions
        # STARTING, READY, CORDONED, ENDING -> BACKOFF, and on to STARTING if no delay is due
        if was is Phase.STOPPING:
            self._move(Phase.EMPTY, now)
        else:
            self._move(Phase.BACKOFF, now)
            self.restarts += 1
            is_last = not (self.failed_starts or self._admission.others_work())
            self._due_at = now + self.policy.delay(now, is_last=is_last)
            if self._due_at > now:
                return actions
        return actions + self._start(now)

    def _kill(self, reason: str, now: float, *, blames_item: bool = True) -> list[Action]:
        assert self.pid is not None, 'only a slot with a process can be killed'
        has_failed = self.phase in HEALTHY and self.activity.has_failed
        self.failed_starts += has_failed or self.phase is Phase.STARTING
        self._move(Phase.ENDING, now)
        self._blames_item = blames_item
        self.activity.killed(now)
        return [*self._leave_pool(), KillProcess(self.pid, reason)]

    def _stop(self, now: float, grace: float) -> list[Action]:
        """Enter STOPPING, from STARTING, READY, CORDONED or ENDING."""
        # A process that was killed already needs no further signal.
        self._terminated = self.phase is Phase.ENDING
        self._move(Phase.STOPPING, now)
        self._due_at = now + grace
        return [*self._leave_pool(), *self._request_shutdown(now)]

    def _request_shutdown(self, now: float) -> list[Action]:
        if self.state not in ('unconfigured', 'inactive', 'active'):
            return []
        self._requested_at = now
        return [RequestTransition('shutdown')]

    def _escalate(self, now: float) -> list[Action]:
        """Repeat the request while STOPPING, then send SIGTERM, then SIGKILL."""
        if self.pid is None:
            timeout = self.timing.startup_timeout
            if now < self.started_at + timeout:
                return []  # its start may still be reported
            return self._exited(f'no process within {timeout:g} s', now)
        if now < self._due_at:
            if now - self._requested_at >= self.timing.request_retry:
                return self._request_shutdown(now)
            return []
        self._due_at = now + self.timing.terminate_grace
        if not self._terminated:
            self._terminated = True
            return [TerminateProcess(self.pid)]
        return [KillProcess(self.pid, 'did not exit in time')]

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
