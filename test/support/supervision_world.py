# SPDX-License-Identifier: Apache-2.0
"""Simulated processes that do anything, under the supervision of one slot.

:class:`World` carries out the actions of the supervision, late and in any order, as a computer
does. Processes start or fail, change their states by themselves or wait, are stopped, crash, hang,
stop reporting, are tampered with, adopted and replaced; and events about them arrive late, twice or
never. It checks each action against its own knowledge, independently of the supervision.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from support.supervised_process import AT_WORK, BACKOFF_MAX, STATES, TICK, TIMING, WINDOW, Process
from worker_pipeline.core.restart_policy import RestartPolicy
from worker_pipeline.core.supervision import Supervision
from worker_pipeline.core.supervision_table import (
    Action,
    DesiredState,
    Event,
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


class World:
    """The supervision of one slot, its simulated processes, and the facts known about them."""

    def __init__(self, limit: int, seed: int) -> None:
        self.limit = limit
        policy = RestartPolicy(
            backoff_max=BACKOFF_MAX, limit=limit, window=WINDOW, random_source=random.Random(seed)
        )
        self.slot = Supervision(policy, TIMING)
        self.now = 1000.0
        self.pending: str | None = None  # the target of a start that was asked for
        self.asked_at = 0.0  # when it was
        self.lost = False  # a start fails or takes too long, without a report
        self.timed_out = ''  # the target of such a start, until it is reported late
        self.processes: list[Process] = []
        self.pooled = False
        self.unreleased = False  # a worker is gone and its items are not released yet
        self.stop_by = 0.0  # no escalation before this time
        self.is_replaced = False  # asked to end so that another can be started
        self.restarts: list[float] = []  # the health since each that counts
        self.phases = {Phase.EMPTY}
        self.seen: set[str] = set()  # relevant events, for the tests of the tests

    @property
    def current(self) -> Process | None:
        """Return the slot's process, dead or alive, until its exit is reported."""
        process = self.processes[-1] if self.processes else None
        return process if process and process.pid == self.slot.pid else None

    # -- news and orders -------------------------------------------------------------------------

    def report(self, event: Event) -> list[Action]:
        return self.obey(lambda: self.slot.handle(event, self.now))

    def want(self, desired: DesiredState, grace: float = 1.0) -> None:
        stopping = self.slot.phase is Phase.STOPPING
        if desired is DesiredState.GONE:
            self.is_replaced = False
            self.stop_by = min(self.stop_by, self.now + grace) if stopping else self.now + grace
        self.obey(lambda: self.slot.set_desired(desired, self.now, grace=grace))

    def adopt(self, desired: DesiredState, state: str, stopped: bool) -> None:
        """Let a new manager find a process that the former one has left."""
        assert self.slot.phase is Phase.EMPTY
        process = Process(100 + len(self.processes), '', self.now, adopted=True)
        process.state, process.stopped = state, stopped
        self.processes.append(process)
        self.stop_by = self.now + 1.0
        actions = self.obey(lambda: self.slot.adopt(process.pid, desired, self.now))
        assert actions == []
        assert self.current is process

    def replace_gracefully(self, grace: float) -> None:
        begins = self.slot.phase in (Phase.STARTING, *AT_WORK)
        if begins:
            self.stop_by = self.now + grace
            self.is_replaced = True
            self.seen.add('replaced')
        phase = self.slot.phase
        actions = self.obey(lambda: self.slot.replace_gracefully(self.now, grace))
        assert self.slot.phase is (Phase.STOPPING if begins else phase)
        assert begins or not actions

    def refund_restart(self) -> None:
        waits = self.slot.phase is Phase.BACKOFF
        # A forgotten restart cannot be refunded, nor an earlier one.
        if self.restarts and self.restarts[-1] <= WINDOW:
            self.restarts.pop()
        count = self.slot.restarts
        actions = self.obey(lambda: self.slot.refund_restart(self.now))
        assert [type(each) for each in actions] == [StartProcess] * waits
        assert self.slot.restarts == count
        if waits:
            self.seen.add('refunded')

    def hold_up(self, seconds: float) -> None:
        """Let time pass in which the manager can do nothing."""
        self.pass_time(seconds)
        for process in self.processes:
            process.lived_at += seconds
            process.reported_at += seconds
            process.state_at += seconds
            process.ready_by += seconds
        self.asked_at += seconds
        self.stop_by += seconds
        self.slot.extend_deadlines(seconds)

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        if self.slot.phase in AT_WORK:
            self.restarts = [health + seconds for health in self.restarts]

    def wait(self, seconds: float) -> list[Action]:
        self.pass_time(seconds)
        if self.pending and self.now >= self.asked_at + TIMING.startup_timeout:
            self.start_is_lost()
        actions = self.obey(lambda: self.slot.tick(self.now))
        if self.current and self.slot.phase in (Phase.STARTING, *AT_WORK):
            spared = self.current.faults(self.slot.phase, self.now) - {'limit'}
            assert not spared, 'killed for less'
        if self.slot.phase is Phase.STARTING and self.current is None:
            assert self.now < self.asked_at + TIMING.startup_timeout
        return actions

    def obey(self, decide: Callable[[], list[Action]]) -> list[Action]:
        """Carry out the actions, and check that they are allowed."""
        former, count = self.slot.phase, self.slot.restarts
        actions = decide()
        waits = self.slot.phase is Phase.BACKOFF
        if self.slot.restarts != count:
            assert self.slot.restarts == count + 1
            assert not self.is_replaced, 'a replacement is no restart'
            assert waits <= any(health <= WINDOW for health in self.restarts), 'the first waits'
            self.restarts.append(0.0)
        failing = sum(health <= WINDOW for health in self.restarts) > self.limit
        assert self.slot.policy.failing(self.now) == failing
        self.seen.add(f'failing {failing}')
        for action in actions:
            if isinstance(action, StartProcess):
                assert self.pending is None, 'a start is under way already'
                assert not any(each.alive for each in self.processes), 'two processes at once'
                assert all(each.exit_reported for each in self.processes), 'an exit not awaited'
                assert not self.pooled
                assert not self.unreleased
                assert not self.lost
                assert action.target == self.slot.desired.value != 'gone'
                self.pending, self.asked_at = action.target, self.now
                self.is_replaced = False
            elif isinstance(action, (KillProcess, TerminateProcess)):
                assert self.current is not None
                assert action.pid == self.current.pid
                assert not self.pooled
                if former is Phase.STOPPING:
                    assert self.now >= self.stop_by, 'pressed before its time'
                    faults = {'pressed'}
                else:
                    faults = self.current.faults(former, self.now)
                    assert faults, f'killed for nothing: {action}'
                    assert self.slot.phase is Phase.ENDING
                self.seen |= faults
                if isinstance(action, KillProcess):
                    self.current.alive = False
                elif self.current.shows_life:
                    self.current.requests.append('shutdown')
            elif isinstance(action, RequestTransition):
                assert self.current is not None
                self.current.requests.append(action.label)
            elif isinstance(action, JoinPool):
                assert not self.pooled, 'joined twice'
                assert self.current is not None
                assert self.current.linked
                assert self.current.reported == 'active'
                assert self.slot.desired is DesiredState.ACTIVE
                self.pooled = True
                if self.current.adopted:
                    self.seen.add('adopted')
            elif isinstance(action, LeavePool):
                assert self.pooled, 'left twice'
                self.pooled = False
            elif isinstance(action, ReleaseItems):
                assert not self.pooled
                assert self.unreleased or self.lost, 'released without an exit'
                assert action.suspect == (former is not Phase.STOPPING)
                self.unreleased = self.lost = False
                if former is Phase.STOPPING and self.slot.desired is not DesiredState.GONE:
                    assert isinstance(actions[-1], StartProcess), 'a replacement waits'
        assert not self.unreleased, 'an exit without a release'
        assert self.pooled <= (self.slot.phase is Phase.READY)
        self.phases.add(self.slot.phase)
        return actions

    # -- possible events -------------------------------------------------------------------------

    def start_succeeds(self) -> None:
        assert self.pending is not None
        # It is late from the moment it was asked for.
        self.processes.append(Process(100 + len(self.processes), self.pending, self.asked_at))
        self.pending = None
        self.report(ProcessStarted(self.processes[-1].pid))

    def start_fails(self) -> None:
        self.pending = None
        self.unreleased = True
        self.report(ProcessExited(None, 'cannot be started'))

    def start_is_lost(self) -> None:
        """Let a start fail without any report."""
        assert self.pending is not None
        self.timed_out, self.pending = self.pending, None
        self.lost = True

    def start_is_late(self) -> None:
        """Let a start succeed after its timeout, while there is no other process."""
        process = Process(100 + len(self.processes), self.timed_out, self.now)
        self.timed_out = ''
        self.processes.append(process)
        self.stop_by = self.now + 1.0
        assert self.report(ProcessStarted(process.pid)) == []
        assert self.current is process
        self.seen.add('late start')

    def report_state(self) -> None:
        """Let the process report its lifecycle state, if it can."""
        process = self.current
        if process and process.can_report:
            process.lived_at = process.reported_at = self.now
            if process.adopted and not process.reported:
                # As far as its new manager knows.
                process.ready_by = self.now + TIMING.startup_timeout
            if process.state != process.reported:
                process.state_at = self.now
            process.reported = process.state
            self.report(StateReported(process.pid, process.state))

    def show_life(self) -> None:
        process = self.current
        if process and process.shows_life:
            process.lived_at = self.now
            assert self.report(HeartbeatSeen(process.pid)) == []

    def verify_link(self) -> None:
        process = self.current
        if process and process.can_report:
            process.linked = True
            process.lived_at = self.now
            self.report(WorkerConnected(process.pid))

    def exceed(self) -> None:
        if self.current:
            self.current.limit_reported = True
            dies = self.slot.phase in (Phase.STARTING, *AT_WORK)
            actions = self.report(LimitExceeded(self.current.pid, 'too much'))
            assert any(isinstance(each, KillProcess) for each in actions) == dies

    def report_exit(self) -> None:
        process = self.current
        if process and not process.alive:
            self.unreleased = True
            process.exit_reported = True
            self.report(ProcessExited(process.pid, 'gone'))

    def report_stale_event(self, which: int, kind: str) -> None:
        """Report an event of a former process, or of a start that failed before."""
        past = [each for each in self.processes if each is not self.current]
        if kind == 'failed start':
            if self.lost:
                self.report(ProcessExited(None, 'cannot be started'))
            elif self.pending is None:
                assert self.report(ProcessExited(None, 'cannot be started')) == []
            return
        if not past:
            return
        pid = past[which % len(past)].pid
        events: dict[str, Event] = {
            'exit': ProcessExited(pid, 'late news'),
            'link': WorkerConnected(pid),
            'life': HeartbeatSeen(pid),
            'limit': LimitExceeded(pid, 'too much'),
            **{state: StateReported(pid, state) for state in (*STATES, 'finalized')},
        }
        before = (self.slot.phase, self.slot.state, self.slot.pid)
        assert self.report(events[kind]) == []
        assert (self.slot.phase, self.slot.state, self.slot.pid) == before

    # -- a world where all is well ---------------------------------------------------------------

    def behave(self, seconds: float) -> None:
        """From now on everything works, and events are prompt.

        Processes that are stopped, hang or do not report stay so: the supervision has to end them.
        """
        for _ in range(round(seconds / TICK)):
            if self.slot.converged:
                return
            if self.pending is not None:
                self.start_succeeds()
            process = self.current
            if process is not None:
                if self.slot.phase is Phase.CORDONED and process.alive and not process.hung:
                    process.state = self.slot.desired.value  # the manual deactivation is undone
                process.step()
                self.verify_link()
                self.report_state()
                self.show_life()
            self.report_exit()
            self.wait(TICK)
        assert self.slot.converged, f'still {self.slot.phase.name} in state {self.slot.state!r}'
