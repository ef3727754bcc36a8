"""A slot of a stage: carries its supervision's actions to a process and a link."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any, Protocol

from worker_pipeline.core import supervision
from worker_pipeline.core.supervision import Goal, Phase, Supervision
from worker_pipeline.nodes.worker import run_worker
from worker_pipeline.nodes.worker_contract import WorkerSpec
from worker_pipeline.nodes.worker_link import WorkerLink
from worker_pipeline.runtime.processes import Launcher


class SlotListener(Protocol):
    """The stage a slot belongs to."""

    def on_joined(self, slot: Slot) -> None:
        """The slot's worker may be given work."""

    def on_left(self, slot: Slot) -> None:
        """The slot's worker may be given no more work."""

    def on_gone(self, slot: Slot, reason: str, suspect: bool) -> None:
        """The slot's worker is dead; what it held is to go to others."""


class Slot:
    """One place in a stage, and whoever holds it now."""

    def __init__(
        self,
        name: str,
        supervised_by: Supervision,
        link: WorkerLink,
        launcher: Launcher,
        spec: Callable[[str], WorkerSpec],
        listener: SlotListener,
        logger: Any,
    ) -> None:
        self.name = name
        self.supervision = supervised_by
        self.link = link
        self.values: dict[str, str] = {}  # of the last heartbeat
        self.last_error = ''
        # Since when the item in work is in work; None while the worker holds nothing.
        self.busy_since: float | None = None
        self._launcher = launcher
        self._spec = spec
        self._listener = listener
        self._logger = logger

    def set_goal(self, goal: Goal, now: float, grace: float = 1.0) -> None:
        """Say what the slot's worker should be."""
        self._do(self.supervision.set_goal(goal, now, grace=grace), now)

    def handle(self, event: supervision.Event, now: float) -> None:
        """Pass an event on to the supervision, and do what it says."""
        self._do(self.supervision.handle(event, now), now)

    def tick(self, now: float) -> None:
        """Let time pass."""
        self._do(self.supervision.tick(now), now)

    def heard(self, pid: int, state: str, values: dict[str, str], error: str, now: float) -> None:
        """A heartbeat came from this slot's worker."""
        if pid != self.supervision.pid:
            return
        self.values = values
        if error:
            self.last_error = error
        if self.supervision.phase is Phase.STARTING and state in ('inactive', 'active'):
            # Asked for again with every heartbeat until it comes back by every way.
            self.link.probe(pid)
        self.handle(supervision.StateReported(pid, state), now)

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
                self.values = {}
                self.busy_since = None
                self._listener.on_gone(self, action.reason, action.suspect)
            elif isinstance(action, supervision.TerminateProcess):
                self._launcher.send_signal(action.pid, signal.SIGTERM)
            elif isinstance(action, supervision.KillProcess):
                self._logger.warning(f'{self.name} (pid {action.pid}): {action.reason}; killing it')
                self._launcher.send_signal(action.pid, signal.SIGKILL)

    def _start(self, target: str, now: float) -> None:
        spec = self._spec(target)
        try:
            process = self._launcher.start(run_worker, (spec,), name=spec.name)
        except OSError as error:
            self._logger.error(f'{self.name}: cannot be started: {error}')
            self.handle(supervision.ProcessExited(None, f'cannot be started: {error}'), now)
            return
        self.handle(supervision.ProcessStarted(process.pid), now)
