# SPDX-License-Identifier: Apache-2.0
"""A slot of a stage: carries out its supervision's actions on a process and a channel."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable
from typing import Any

from worker_pipeline.config import StageConfig
from worker_pipeline.core.memory_limit import KillWorker, MemoryUse, check_memory
from worker_pipeline.core.pause import EARLY
from worker_pipeline.core.recycling import Recycling
from worker_pipeline.core.supervision import Supervision
from worker_pipeline.core.supervision_table import (
    HEALTHY,
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
)
from worker_pipeline.core.task_timeout import TaskTimeout
from worker_pipeline.manager.spare_pool import SparePool
from worker_pipeline.manager.worker_channel import WorkerChannel
from worker_pipeline.manager.worker_facts import (
    WorkerAvailable,
    WorkerExited,
    WorkerFact,
    WorkerFailing,
    WorkerUnavailable,
)
from worker_pipeline.protocol.packets import WorkerStatus
from worker_pipeline.protocol.worker_spec import WorkerSpec
from worker_pipeline.recovery.liveness import LivenessRecord
from worker_pipeline.system.proc import is_stopped, resident_sizes
from worker_pipeline.system.processes import Launcher, exit_reason

CLEAN_EXIT = exit_reason(0)


class Slot:
    """One place in a stage, and the worker that fills it now.

    Args:
        stage: the stage's name.
        name: the slot's, such as ``worker_0``.
        supervised_by: decides about the worker.
        channel: the slot's end of the connection to it.
        launcher: signals processes.
        spares: starts them.
        prepare_launch: returns what a worker that is to reach a lifecycle state by itself has to
            know, and its liveness record. Raises OSError where there is no room for the record.
        facts: the queue of the stage.
        by_pid: all slots of the manager, by the process that fills them.
        logger: of the stage's node.
    """

    def __init__(
        self,
        stage: str,
        name: str,
        supervised_by: Supervision,
        channel: WorkerChannel,
        launcher: Launcher,
        spares: SparePool,
        prepare_launch: Callable[[str], tuple[WorkerSpec, LivenessRecord]],
        facts: deque[WorkerFact],
        by_pid: dict[int, Slot],
        logger: Any,
    ) -> None:
        self.stage = stage
        self.name = name
        self.supervision = supervised_by
        self.channel = channel
        self.report: WorkerStatus | None = None  # the last one
        self.last_error = ''
        self.last_exit = ''  # why the last worker ended, in the best words known
        self.liveness: LivenessRecord | None = None
        # Started by an earlier manager, and not yet connected to this one.
        self.adopted = False
        # The worker was started with another configuration; a rolling update will replace it.
        self.has_stale_config = False
        # Why the worker is to be replaced though its configuration is right: by its size or age, or
        # as others may have forgotten it.
        self.due = ''
        # The slot goes away when its worker has finished: its stage has fewer workers now.
        self.draining = False
        self._launcher = launcher
        self._spares = spares
        self._prepare_launch = prepare_launch
        self._facts = facts
        self._by_pid = by_pid
        self._logger = logger
        self._is_replaced = False  # its worker was asked to go, for another one
        self._heartbeat = 0
        self._kill_reason = ''
        self._work = TaskTimeout()
        self._recycling = Recycling()
        self._starts: list[Action] = []
        self._excused_until = float('-inf')  # pauses until then are counted already, s
        self._is_resuming = False  # after a pause, until the first heartbeat
        self.left_behind = 0  # processes that its workers did not end

    @property
    def is_ready_standby(self) -> bool:
        """Return whether its worker could become active at once."""
        seen = self.supervision
        return (
            seen.phase is Phase.READY
            and seen.desired is DesiredState.INACTIVE
            and not self.draining
        )

    def set_desired(self, desired: DesiredState, now: float, grace: float = 1.0) -> None:
        """Set the desired state of the slot's worker. ``grace``: s that a shutdown may take.

        Args:
            desired: The desired state.
            now: The time, s.
            grace: As above.
        """
        self._do(self.supervision.set_desired(desired, now, grace=grace), now)

    def adopt(self, signs: LivenessRecord, desired: DesiredState, now: float) -> None:
        """Take over a worker that an earlier manager started.

        Args:
            signs: its liveness record.
            desired: its desired state.
            now: s.
        """
        pid = signs.read().pid
        self.liveness = signs
        self.adopted = True
        self._do(self.supervision.adopt(pid, desired, now), now)
        self._by_pid[pid] = self
        self._launcher.adopt(pid)
        # Its silence counts from now on: it may have been paused together with the manager.

    def replace_gracefully(self, now: float, grace: float) -> None:
        """Have the worker finish its items within ``grace`` s, then start another one."""
        self.has_stale_config, self.due = False, ''
        self._is_replaced = True
        self._do(self.supervision.replace_gracefully(now, grace), now)

    def reconcile(self, now: float) -> None:
        """Have the worker become active if it only waited for another one of its stage."""
        if self.supervision.desired is DesiredState.ACTIVE and self.supervision.state == 'inactive':
            self._do(self.supervision.reconcile(now), now)

    def refund_restart(self, now: float) -> None:
        """Take the last restart back: an item was the cause of the worker's death."""
        self._do(self.supervision.refund_restart(now), now)

    def process_exited(self, pid: int, reason: str, now: float) -> None:
        """Handle the exit of its process, after everything that it had sent was read.

        Its successor is not started yet, see :meth:`start_successor`.

        Args:
            pid: The pid of the process.
            reason: Why it exited, for logs.
            now: The time, s.
        """
        actions = self.supervision.handle(ProcessExited(pid, reason), now)
        self._starts = [each for each in actions if isinstance(each, StartProcess)]
        self._do([each for each in actions if each not in self._starts], now)

    def processes_left_behind(self, text: str, count: int) -> None:
        """Log and count the processes that its worker has left behind at its exit.

        Args:
            text: Which they are, and what became of them.
            count: How many they are.
        """
        self.left_behind += count
        self._logger.warning(f'{self.name} left {text}')

    def start_successor(self, now: float) -> None:
        """Start the process that the last exit calls for, if any. ``now``: s."""
        starts, self._starts = self._starts, []
        self._do(starts, now)

    def status_reported(self, pid: int, report: WorkerStatus, now: float) -> None:
        """Handle a worker's report of its state, unless it is that of a former worker.

        Args:
            pid: The pid of the process that sent it.
            report: The report.
            now: The time, s.
        """
        if pid != self.supervision.pid:
            return
        self.report = report
        if report.failure:
            self.last_error = report.failure
        self.handle(StateReported(pid, report.values['state']), now)

    def handle(self, event: Event, now: float) -> None:
        """Pass an event to the supervision, and carry out its actions."""
        self._do(self.supervision.handle(event, now), now)

    def tick(self, now: float, in_flight: int, task_timeout: float) -> None:
        """Check heartbeats and time limits.

        Args:
            now: s.
            in_flight: how many items the worker has not answered.
            task_timeout: s that it may take for one.
        """
        pid = self.supervision.pid
        if self.liveness is not None and pid is not None:
            self._check_liveness(self.liveness, pid, now, in_flight, task_timeout)
        self._do(self.supervision.tick(now), now)

    def _check_liveness(
        self, record: LivenessRecord, pid: int, now: float, in_flight: int, task_timeout: float
    ) -> None:
        signs = record.read()
        if signs.heartbeat_at != self._heartbeat and signs.pid == pid:
            self._heartbeat = signs.heartbeat_at
            if self._is_resuming and signs.heartbeat_at / 1e9 > self._excused_until:
                self.excuse(signs.heartbeat_at / 1e9, float('inf'))
                self._is_resuming = False
            self.handle(HeartbeatSeen(pid), now)
        is_active = self.supervision.state == 'active'
        # Items are timed up to its last heartbeat: from then on it may have been paused, and if it
        # was not, its silence ends it.
        seen_at = min(now, signs.heartbeat_at / 1e9)
        reason = self._work.check(signs, in_flight if is_active else 0, seen_at, task_timeout)
        if reason:
            self.handle(LimitExceeded(pid, reason), now)
        silence = self.supervision.time_since_heartbeat(now)
        late = silence > self.supervision.timing.heartbeat_timeout
        # While it starts, an import may hold the GIL and silence it; but it may not be stopped.
        if late and self.supervision.phase is Phase.STARTING and is_stopped(pid):
            reason = f'stopped for {silence:.2f} s'
            self.handle(LimitExceeded(pid, reason), now)

    def check_limits(self, config: StageConfig, now: float) -> bool:
        """Note that a worker is too large or too old, or kill it; return whether that is urgent.

        Args:
            config: its stage's.
            now: s.
        """
        pid, record = self.supervision.pid, self.liveness
        if pid is None or record is None or self.draining:
            return False
        seen, reason, is_urgent = record.read(), '', False
        record.measure_memory(wanted=config.memory_limit > 0)
        if config.memory_limit > 0:
            size = check_memory(MemoryUse(*resident_sizes(pid)), seen, config.memory_limit)
            if isinstance(size, KillWorker):
                self.handle(LimitExceeded(pid, size.reason, size.blames_item), now)
                return False
            if size is not None:
                reason, is_urgent = size.reason, size.is_urgent
        if seen.registered_at and not reason:
            age = now - seen.registered_at / 1e9
            reason = self._recycling.reason(
                seen.finished_items, age, config.max_items_per_worker, config.max_worker_age
            )
        absent = self.report.values.get('absent_s') if self.report is not None else None
        if absent is not None and not reason:
            reason = f'it stood still for {absent} s, and may miss contexts from outside since then'
        self.due = reason
        return is_urgent and self.supervision.phase in HEALTHY

    def silence(self, now: float) -> float | None:
        """Return how long its worker has sent no heartbeat, s; None without a live one."""
        if self.supervision.pid is None or self.supervision.phase is Phase.ENDING:
            return None
        return self.supervision.time_since_heartbeat(now)

    def extend_deadlines(self, seconds: float, now: float) -> None:
        """Extend all deadlines: for so long, until now, the manager could do nothing."""
        if seconds > EARLY * self.supervision.timing.heartbeat_timeout:
            self.excuse(now, seconds)  # the worker was stopped together with it, most likely
            return
        seconds = min(seconds, now - self._excused_until)
        self._excused_until = now
        self.supervision.extend_deadlines(seconds)
        self._work.extend_deadlines(seconds, now)

    def excuse(self, now: float, at_least: float = 0.0) -> None:
        """Extend all deadlines: since its last heartbeat the worker has been paused.

        Until its next one it still is, for as long as that may be missing.

        Args:
            now: s.
            at_least: for how long it has been paused, s, but for what was excused before.
        """
        seconds = max(self.supervision.time_since_heartbeat(now), at_least)
        seconds = min(seconds, now - self._excused_until)
        self._excused_until = now
        self._is_resuming = True
        self.supervision.extend_deadlines(seconds, now)
        self._work.extend_deadlines(seconds, now)

    def _do(self, actions: list[Action], now: float) -> None:
        for action in actions:
            if isinstance(action, StartProcess):
                self._start(action.target, now)
            elif isinstance(action, RequestTransition):
                self.channel.request(action.label)
            elif isinstance(action, JoinPool):
                self._facts.append(WorkerAvailable(self.name, self.supervision.pid))
            elif isinstance(action, LeavePool):
                self._facts.append(WorkerUnavailable(self.name))
            elif isinstance(action, ReleaseItems):
                self._reap(action)
            elif isinstance(action, TerminateProcess):
                state = self.supervision.state or 'unknown'
                self._kill_reason = f'did not exit in time; its lifecycle state was {state}'
                self._logger.warning(
                    f'{self.name} (pid {action.pid}): {self._kill_reason}; terminating it'
                )
                self._launcher.send_signal(action.pid, signal.SIGTERM)
            elif isinstance(action, KillProcess):
                self._logger.warning(f'{self.name} (pid {action.pid}): {action.reason}; killing it')
                self._kill_reason = action.reason
                self._facts.append(WorkerFailing(self.name))
                self._launcher.send_signal(action.pid, signal.SIGKILL)

    def _reap(self, action: ReleaseItems) -> None:
        """Forget the worker, and report the known facts of its end."""
        self.channel.detach()
        record, self.liveness = self.liveness, None
        if record is not None:
            record.follow()
        suspect = record.read().active_item if record is not None and action.suspect else 0
        # The worker itself knew best; next best are we, if we killed it. The signal is only how.
        words = record.exit_reason() if record is not None else ''
        self.last_exit = reason = words or self._kill_reason or action.reason
        self.last_error = words or self.last_error
        self.report = None
        self._kill_reason = ''
        self.adopted = self.has_stale_config = False
        self.due = ''
        was_wanted = self.supervision.desired is not DesiredState.GONE
        if self._is_replaced and action.reason == CLEAN_EXIT:
            was_wanted = False
        self._is_replaced = False
        self._facts.append(WorkerExited(self.name, reason, suspect or None, record, was_wanted))

    def _start(self, target: str, now: float) -> None:
        self._work, self._recycling = TaskTimeout(), Recycling()
        self._is_resuming = False
        try:
            spec, self.liveness = self._prepare_launch(target)
            process = self._spares.start(spec)
        except OSError as error:
            self._logger.error(f'{self.name}: cannot be started: {error}')
            self.handle(ProcessExited(None, f'cannot be started: {error}'), now)
            return
        self._by_pid[process.pid] = self
        self.handle(ProcessStarted(process.pid), now)
