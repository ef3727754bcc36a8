# SPDX-License-Identifier: Apache-2.0
"""The workers of a stage: its slots, active and on standby, scaling and rolling updates."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection
from functools import partial

from worker_pipeline.config import PluginDescription, StageConfig
from worker_pipeline.core.admission import SlotAdmission, StageLimits
from worker_pipeline.core.gap import ActivityGap
from worker_pipeline.core.restart_policy import RestartPolicy
from worker_pipeline.core.rollout import FAILED_STARTS
from worker_pipeline.core.roster import Roster
from worker_pipeline.core.supervision import Supervision
from worker_pipeline.core.supervision_table import DesiredState, Phase, Timing
from worker_pipeline.manager.rolling_update import RollingUpdate
from worker_pipeline.manager.services import PipelineServices
from worker_pipeline.manager.slot import Slot
from worker_pipeline.manager.stage_statistics import WorkerStatistics, worker_statistics
from worker_pipeline.manager.worker_channel import WorkerChannel
from worker_pipeline.manager.worker_facts import WorkerFact
from worker_pipeline.manager.worker_specs import WorkerSpecs
from worker_pipeline.pool import RefreshingWorkerPool
from worker_pipeline.recovery.recover import RecoveredStage
from worker_pipeline.ros import message_types
from worker_pipeline.ros.lifecycle import ManagedNode, until

LIMITS_PERIOD = 0.25  # s
# How long a gap is reported after its end, s.
RECENT_GAP = 3.0


class StageWorkers:
    """Keeps the slots that the configuration asks for, each filled with a worker.

    Facts about workers are appended to ``facts``, for the stage to act on.

    Args:
        node: the stage's.
        config: the stage's configuration.
        plugin: the description of its class.
        pool: the workers that may be given items; only its concurrency is changed here.
        services: shared by the stages of the pipeline.
    """

    def __init__(
        self,
        node: ManagedNode,
        config: StageConfig,
        plugin: PluginDescription,
        pool: RefreshingWorkerPool[str],
        services: PipelineServices,
    ) -> None:
        self.slots: dict[str, Slot] = {}
        self.facts: deque[WorkerFact] = deque()
        self.roster = Roster(config.workers)
        self._node = node
        self._config = config
        self._plugin = plugin
        self._pool = pool
        self._services = services
        self.specs = WorkerSpecs(config, plugin, services)
        self.update = RollingUpdate(self, plugin)
        self.gap = ActivityGap()
        self._limits_checked_at = 0.0
        self._stage_limits = StageLimits(config.workers, exclusive=plugin.exclusive)
        self._supervised: dict[str, Supervision] = {}
        # The desired state of all; None while there are to be none.
        self._desired: DesiredState | None = None
        self.is_open = False
        self._has_mirrors = False
        self._stay_active: set[str] = set()  # adopted, until the stage is active

    # -- making them -----------------------------------------------------------------------------

    def open(self, recovered: RecoveredStage | None) -> None:
        """Make the slots, and adopt the workers that an earlier manager has left."""
        self.is_open = True
        for name in self._names():
            self.roster.add(self.add(name).name)
        if recovered is not None and recovered.live_workers:
            self._adopt(recovered)

    def _names(self) -> list[str]:
        """Return the names of the slots that are asked for."""
        return [f'worker_{index}' for index in range(self._config.workers + self._config.standby)]

    def add(self, name: str) -> Slot:
        """Make a slot, without a worker yet."""
        services = self._services
        slot = self.slots[name] = Slot(
            self._config.name,
            name,
            self._supervision(name),
            self._channel(name),
            services.launcher,
            services.spares,
            partial(self.specs.prepare, name),
            self.facts,
            services.slots_by_pid,
            self._node.get_logger(),
        )
        if self._has_mirrors:
            slot.channel.open_mirror()
        return slot

    def open_mirrors(self) -> None:
        """Show what goes to and from the workers on topics, as the node is in the graph now."""
        self._has_mirrors = True
        for slot in self.slots.values():
            slot.channel.open_mirror()

    def _supervision(self, name: str) -> Supervision:
        pipeline = self._services.pipeline
        policy = RestartPolicy(
            backoff_max=pipeline.restart_backoff_max,
            limit=pipeline.restart_limit,
            window=pipeline.restart_window,
        )
        timing = Timing(
            heartbeat_timeout=pipeline.heartbeat_timeout,
            startup_timeout=self._config.startup_timeout,
        )
        first, stage = self._services.first_starts, self._config.name
        may_start_first = partial(first.may_start, stage, name)
        admission = SlotAdmission(name, self._supervised, self._stage_limits, may_start_first)
        self._supervised[name] = Supervision(policy, timing, admission)
        is_standby = name not in self._names()[: self._config.workers]
        first.add(stage, name, admission, is_standby=is_standby)
        return self._supervised[name]

    def _channel(self, slot: str) -> WorkerChannel:
        return WorkerChannel(
            self._node,
            self._config.name,
            slot,
            message_types.class_of(self._plugin.input_type),
            message_types.class_of(self._plugin.output_type),
            self.specs.concurrency,
            self._services.channels,
            self._services.frames,
        )

    def _adopt(self, recovered: RecoveredStage) -> None:
        now = time.monotonic()
        for name, record in recovered.live_workers.items():
            stays = name in self.slots
            slot = self.slots[name] if stays else self.add(name)
            slot.has_stale_config = self.specs.is_outdated(name, record)
            self._stay_active.add(name)
            self._services.output.watch(record.path, f'{self._config.name}/{name}')
            slot.adopt(record, self._desired_for(slot, DesiredState.ACTIVE), now)
            if not stays:
                self.drain(slot, now)  # there are fewer now
        names = ', '.join(sorted(recovered.live_workers))
        self._node.get_logger().info(f'adopted {names} of an earlier manager')

    # -- their desired states-------------------------------------------------------------------

    @property
    def drain_timeout(self) -> float:
        """Return how long a worker may take to finish its items, s."""
        return self._config.task_timeout * self.specs.concurrency + 2.0

    def set_desired(self, desired: DesiredState) -> None:
        """Set the desired state of all workers; ACTIVE: those that are not on standby."""
        self._desired = desired
        if desired is DesiredState.ACTIVE:
            self._stay_active.clear()
        now = time.monotonic()
        for slot in self.slots.values():
            # An adopted worker stays active: a manager is started for its pipeline to run.
            stays = desired is DesiredState.INACTIVE and slot.name in self._stay_active
            if not slot.draining and not slot.adopted and not stays:
                slot.set_desired(self._desired_for(slot, desired), now)

    def _desired_for(self, slot: Slot, desired: DesiredState) -> DesiredState:
        is_standby = not self.roster.is_active(slot.name)
        return DesiredState.INACTIVE if desired is DesiredState.ACTIVE and is_standby else desired

    def promote_standby(self, slot: Slot) -> None:
        """Have a standby that is ready, if there is one, take over from a slot that failed."""
        if slot.supervision.desired is not DesiredState.ACTIVE or slot.draining:
            return  # it was not in use
        ready = [name for name, each in self.slots.items() if each.is_ready_standby]
        promoted = self.roster.promote(slot.name, ready)
        if promoted is not None:
            now = time.monotonic()
            slot.set_desired(DesiredState.INACTIVE, now)
            self.slots[promoted].set_desired(DesiredState.ACTIVE, now)
            self._node.get_logger().info(f'{promoted} takes over from {slot.name}')

    async def settled(self, timeout: float) -> None:
        """Wait until every worker is as it should be, or has failed to start again and again.

        Those that are not are logged, ``timeout`` s after the last one was started at most;
        supervision keeps trying.
        """

        def unready() -> list[Slot]:
            return [
                slot
                for slot in self.slots.values()
                if not slot.supervision.converged and slot.supervision.phase is not Phase.CORDONED
            ]

        def settled() -> bool:
            return self._services.interrupted() or all(
                slot.supervision.failed_starts >= FAILED_STARTS for slot in unready()
            )

        first, interrupted = self._services.first_starts, self._services.interrupted
        await until(lambda: interrupted() or not first.is_one_waiting(self._config.name))
        begin = time.monotonic()
        await until(settled, timeout)
        late = unready()
        if late and not self._services.interrupted():
            causes = [slot.last_error or slot.supervision.last_exit for slot in late]
            names = [
                f'{slot.name} ({cause})' if cause else slot.name
                for slot, cause in zip(late, causes, strict=True)
            ]
            self._node.get_logger().warning(
                f'{", ".join(names)}: not ready after {time.monotonic() - begin:.1f} s; '
                'continuing without'
            )

    def begin_stop(self, grace: float) -> None:
        """Shut every worker down through its lifecycle, after ``grace`` s by signals."""
        self._desired = None
        now = time.monotonic()
        for slot in self.slots.values():
            slot.set_desired(DesiredState.GONE, now, grace)

    @property
    def all_gone(self) -> bool:
        """Return whether no slot has a process."""
        return all(slot.supervision.phase is Phase.EMPTY for slot in self.slots.values())

    def close(self) -> None:
        """Remove the slots, which have no workers any more, and the state of the stage's class."""
        for name in list(self.slots):
            self._remove(name)
        self.is_open = False
        self.roster = Roster(self._config.workers)
        for state in self._services.state_dir.states.glob(f'{self._config.name}.*'):
            state.unlink(missing_ok=True)

    def _remove(self, name: str) -> None:
        self.slots.pop(name).channel.destroy()
        self._services.first_starts.remove(self._config.name, name)
        del self._supervised[name]

    def process_gone(self, slot: Slot) -> None:
        """Have a standby take over from a worker whose process has exited, before all else."""
        slot.supervision.activity.exited()
        self.promote_standby(slot)
        self.admit(time.monotonic())

    def admit(self, now: float) -> None:
        """Activate workers that waited until others were inactive. ``now``: s."""
        for slot in self.slots.values():
            slot.reconcile(now)

    # -- scaling and rolling updates -------------------------------------------------------------

    def reconfigure(self, config: StageConfig) -> None:
        """Scale up or down, or begin a rolling update; items in flight are finished."""
        now = time.monotonic()
        self._config = self.specs.config = config
        self.update.rollout.change(self.specs.settings, now)
        # More only when every worker has been replaced: each remembers so many answers.
        self._pool.resize(min(self.specs.concurrency, self._pool.get_worker_concurrency()))
        for name, slot in self.slots.items():
            slot.supervision.forgive(now)
            if slot.liveness is not None and not slot.draining:
                slot.has_stale_config = self.specs.is_outdated(name, slot.liveness)
        self._reconcile(now)

    def _reconcile(self, now: float) -> None:
        """Add the slots that are missing, and drain those that are too many."""
        if self._desired is None:
            return
        names = self._names()
        kept = {*names, *self.update.keep_surge(names)}
        self.roster.active_target = self._stage_limits.max_active = self._config.workers
        for slot in [each for each in self.slots.values() if each.name not in kept]:
            if not slot.draining:
                self.roster.remove(slot.name)
                self.drain(slot, now)
        # Standbys become active before new workers do.
        on, off = self.roster.rebalance()
        fresh = [name for name in names if name not in self.slots]
        for name in fresh:
            self.roster.add(self.add(name).name)
        # Those that are to be inactive first: they make room.
        for name in dict.fromkeys((*off, *fresh, *on)):
            slot = self.slots[name]
            slot.set_desired(self._desired_for(slot, self._desired), now)

    def drain(self, slot: Slot, now: float) -> None:
        """Have a slot's worker finish its items and exit, for good. ``now``: s."""
        slot.draining = True
        slot.set_desired(DesiredState.GONE, now, self.drain_timeout)

    def note_activity(self, now: float) -> None:
        """Measure how long no worker has been active, and log it where that is unusual."""
        is_wanted = self._desired is DesiredState.ACTIVE
        gap = self.gap.update(len(self._pool), now, is_wanted=is_wanted)
        if gap and (self._plugin.exclusive or self._plugin.remembers):
            self.log(f'no worker was active for {gap:.2f} s')

    def updated(self) -> None:
        """Let workers hold as many items as is configured: they all can now."""
        self._pool.resize(self.specs.concurrency)

    def log(self, text: str) -> None:
        """Log a step of an update."""
        self._node.get_logger().info(text)

    def log_error(self, text: str) -> None:
        """Log why a change is not in effect."""
        self._node.get_logger().error(text)

    # -- time ------------------------------------------------------------------------------------

    def tick(self, now: float, in_flight: Callable[[str], int]) -> None:
        """Supervise every slot. ``in_flight``: returns how many items a worker holds."""
        checks_limits = now - self._limits_checked_at > LIMITS_PERIOD
        for slot in list(self.slots.values()):
            slot.tick(now, in_flight(slot.name), self._config.task_timeout)
            slot.channel.refresh_mirror()
            if slot.supervision.phase in (Phase.ENDING, Phase.BACKOFF):
                self.promote_standby(slot)
            if checks_limits:
                if slot.check_limits(self._config, now):
                    self.update.replace_at_once(slot, now)
                self._limits_checked_at = now
            if slot.draining and slot.supervision.phase is Phase.EMPTY:
                self._remove(slot.name)
        self._reconcile(now)
        if self._desired is not None:
            self.update.advance(now)

    def values(self) -> dict[str, str]:
        """Return the figures of the workers as a whole for ``/diagnostics``."""
        rollout = self.update.rollout
        return {
            'gap_s': f'{self.gap.last:.3f}',
            'update': rollout.changes,
            'updates': str(rollout.ended),
            'update_error': rollout.failure,
        }

    def notes(self, now: float) -> tuple[str, ...]:
        """Return what is unusual about the workers as a whole. ``now``: s."""
        notes = [self.update.warning(now)]
        if now - self.gap.ended_at < RECENT_GAP:
            notes.append(f'no worker was active for {self.gap.last:.2f} s')
        return tuple(each for each in notes if each)

    def statistics(
        self, in_flight: Callable[[str], int], now: float
    ) -> tuple[WorkerStatistics, ...]:
        """Return the state of each worker. ``in_flight``: as in ``tick``; ``now``: s."""
        return tuple(
            worker_statistics(
                slot,
                in_flight(name),
                now,
                is_standby=not self.roster.is_active(name),
                output_dropped=self._services.output.dropped.get(f'{self._config.name}/{name}', 0),
            )
            for name, slot in self.slots.items()
        )

    def extend_deadlines(self, seconds: float, now: float) -> None:
        """Extend all deadlines: for so long, until now, the manager's own process was held up."""
        for slot in self.slots.values():
            slot.extend_deadlines(seconds, now)

    def silences(self, now: float) -> dict[int, float]:
        """Return by pid how long each live worker has sent no heartbeat, s.

        None while all are being stopped: then no worker is waited for longer than was asked.
        """
        if self._desired is None:
            return {}
        found = [(slot.supervision.pid, slot.silence(now)) for slot in self.slots.values()]
        return {pid: silence for pid, silence in found if pid and silence is not None}

    def excuse(self, pids: Collection[int], now: float) -> None:
        """Extend all deadlines of these workers: they are paused, by nobody's fault."""
        for slot in self.slots.values():
            if slot.supervision.pid in pids:
                slot.excuse(now)
