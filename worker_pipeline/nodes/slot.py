"""A slot of a stage: carries its supervision's actions to a process and a link."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any, Protocol

from worker_pipeline.core import supervision
from worker_pipeline.core.supervision import Goal, Phase, Supervision
from worker_pipeline.core.work_watch import WorkWatch
from worker_pipeline.nodes.spares import Spares
from worker_pipeline.nodes.worker_contract import StateReport, WorkerSpec
from worker_pipeline.nodes.worker_link import WorkerLink
from worker_pipeline.runtime.proc import is_stopped, resident_size
from worker_pipeline.runtime.processes import Launcher
from worker_pipeline.runtime.vital_signs import VitalSigns


class SlotListener(Protocol):
    """The stage a slot belongs to."""

    def on_lost(self, slot: Slot) -> None:
        """The slot's worker is dead, or about to be."""

    def on_joined(self, slot: Slot) -> None:
        """The slot's worker may be given work."""

    def on_left(self, slot: Slot) -> None:
        """The slot's worker may be given no more work."""

    def on_gone(self, slot: Slot, reason: str, in_work: int | None) -> None:
        """The slot's worker is dead; what it held is to go to others.

        ``in_work``: the number of the item that may have been the cause.
        """

    def on_buried(self, signs: VitalSigns) -> None:
        """A dead worker's page is not needed any more."""


class Slot:
    """One place in a stage, and whoever holds it now."""

    def __init__(
        self,
        name: str,
        supervised_by: Supervision,
        link: WorkerLink,
        launcher: Launcher,
        spares: Spares,
        birth: Callable[[str], tuple[WorkerSpec, VitalSigns]],
        listener: SlotListener,
        logger: Any,
    ) -> None:
        self.name = name
        self.supervision = supervised_by
        self.link = link
        self.report: StateReport | None = None  # of the last heartbeat
        self.last_error = ''
        self.signs: VitalSigns | None = None
        # Of an earlier manager: it is still to tell which of its items have reached it.
        self.inherited = False
        # The worker was born with another configuration; it is to be replaced when it may be.
        self.outdated = False
        # Its stage has fewer workers now: it goes with this one.
        self.leaving = False
        self._launcher = launcher
        self._spares = spares
        self._birth = birth
        self._listener = listener
        self._logger = logger
        self._beat = 0
        self._killed_for = ''
        self._work = WorkWatch()

    @property
    def stands_by(self) -> bool:
        """Whether its worker could take over at once."""
        seen = self.supervision
        return seen.phase is Phase.READY and seen.goal is Goal.INACTIVE and not self.leaving

    def set_goal(self, goal: Goal, now: float, grace: float = 1.0) -> None:
        """Say what the slot's worker should be."""
        self._do(self.supervision.set_goal(goal, now, grace=grace), now)

    def adopt(self, signs: VitalSigns, goal: Goal, now: float) -> None:
        """Take over a worker that lives already."""
        pid = signs.read().pid
        self.signs = signs
        self.inherited = True
        self._do(self.supervision.adopt(pid, goal, now), now)
        self._launcher.adopt(pid)
        silence = now - signs.read().beat / 1e9
        if silence > self.supervision.timing.heartbeat_timeout:
            # Found stopped, or hanging: it will not be heard.
            reason = f'no heartbeat for {silence:.2f} s'
            self.handle(supervision.LimitExceeded(pid, reason), now)

    def retire(self, now: float, grace: float) -> None:
        """Have the worker finish what it holds, and another one take its place."""
        self.outdated = False
        self._do(self.supervision.retire(now, grace), now)

    def pardon(self, now: float) -> None:
        """A death of its worker was the fault of an item."""
        self._do(self.supervision.pardon(now), now)

    def ended(self, pid: int, reason: str, now: float) -> None:
        """Its process has ended; what it said before that still counts."""
        self.link.hear_out()
        self._listener.on_lost(self)
        self.handle(supervision.ProcessExited(pid, reason), now)

    def handle(self, event: supervision.Event, now: float) -> None:
        """Pass an event on to the supervision, and do what it says."""
        self._do(self.supervision.handle(event, now), now)

    def tick(self, now: float, holds: int, task_timeout: float) -> None:
        """Let time pass. ``holds``: how many items the worker has not answered."""
        pid = self.supervision.pid
        if self.signs is not None and pid is not None:
            signs = self.signs.read()
            if signs.beat != self._beat and signs.pid == pid:
                self._beat = signs.beat
                self.handle(supervision.Alive(pid), now)
            at_work = self.supervision.state == 'active'
            reason = self._work.overdue(signs, holds if at_work else 0, now, task_timeout)
            if reason:
                self.handle(supervision.LimitExceeded(pid, reason), now)
            silence = self.supervision.shown_no_life_for(now)
            late = silence > self.supervision.timing.heartbeat_timeout
            # While it starts it may be silent, an import may hold the GIL; but not stand still.
            if late and self.supervision.phase is Phase.STARTING and is_stopped(pid):
                reason = f'stopped for {silence:.2f} s'
                self.handle(supervision.LimitExceeded(pid, reason), now)
        self._do(self.supervision.tick(now), now)

    def limit_memory(self, limit: float, now: float) -> None:
        """End a worker whose resident size is above ``limit`` MB."""
        pid = self.supervision.pid
        if pid is None:
            return
        size = resident_size(pid) / 1e6
        if size > limit:
            reason = f'uses {size:.0f} MB of memory; memory_limit is {limit:g} MB'
            self.handle(supervision.LimitExceeded(pid, reason), now)

    def excuse(self, seconds: float) -> None:
        """For so long nobody could look: it is not held against the worker."""
        self.supervision.excuse(seconds)
        self._work.excuse(seconds)

    def heard(self, pid: int, report: StateReport, now: float) -> None:
        """This slot's worker told how it stands."""
        if pid != self.supervision.pid:
            return
        self.report = report
        if report.failure:
            self.last_error = report.failure
        self.handle(supervision.StateReported(pid, report.values['state']), now)

    def _do(self, actions: list[supervision.Action], now: float) -> None:
        for action in actions:
            if isinstance(action, supervision.StartProcess):
                self._start(action.target, now)
            elif isinstance(action, supervision.RequestTransition):
                self.link.request(action.label)
            elif isinstance(action, supervision.JoinPool):
                self._listener.on_joined(self)
            elif isinstance(action, supervision.LeavePool):
                self._listener.on_left(self)
            elif isinstance(action, supervision.ReleaseItems):
                self._bury(action)
            elif isinstance(action, supervision.TerminateProcess):
                self._launcher.send_signal(action.pid, signal.SIGTERM)
            elif isinstance(action, supervision.KillProcess):
                self._logger.warning(f'{self.name} (pid {action.pid}): {action.reason}; killing it')
                self._killed_for = action.reason
                self._listener.on_lost(self)
                self._launcher.send_signal(action.pid, signal.SIGKILL)

    def _bury(self, action: supervision.ReleaseItems) -> None:
        # Pardoned, it may be filled anew before this is over.
        self.link.detach()
        signs, self.signs = self.signs, None
        in_work = signs.read().in_work if signs is not None and action.suspect else 0
        # Who knew it best: itself, then we. What a signal did is only how.
        words = signs.words() if signs is not None else ''
        reason = words or self._killed_for or action.reason
        self.last_error = words or self.last_error
        self.report = None
        self._killed_for = ''
        self.inherited = self.outdated = False
        self._listener.on_gone(self, reason, in_work or None)
        if signs is not None:
            self._listener.on_buried(signs)

    def _start(self, target: str, now: float) -> None:
        self._work = WorkWatch()
        try:
            spec, self.signs = self._birth(target)
            process = self._spares.start(spec)
        except OSError as error:
            self._logger.error(f'{self.name}: cannot be started: {error}')
            self.handle(supervision.ProcessExited(None, f'cannot be started: {error}'), now)
            return
        self.handle(supervision.ProcessStarted(process.pid), now)
