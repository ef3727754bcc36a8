# SPDX-License-Identifier: Apache-2.0
"""The running pipeline: its stages, and what happens to their processes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from worker_pipeline.config import PipelineConfig
from worker_pipeline.core.absence import Absence
from worker_pipeline.core.hold_up import HoldUp
from worker_pipeline.core.supervision_table import Phase
from worker_pipeline.manager.channel_server import PacketHandler
from worker_pipeline.manager.folder_guard import FolderGuard
from worker_pipeline.manager.pauses import Pauses
from worker_pipeline.manager.pipeline_clock import PipelineClock
from worker_pipeline.manager.quarantine_recorder import QuarantineRecorder
from worker_pipeline.manager.services import PipelineServices
from worker_pipeline.manager.stage_node import StageNode
from worker_pipeline.manager.stage_statistics import StageStatistics
from worker_pipeline.protocol.channel import Channel, Packet, ProtocolError
from worker_pipeline.protocol.packets import read_hello
from worker_pipeline.recovery.liveness import LivenessRecord
from worker_pipeline.ros.lifecycle import ManagedNode

SUPERVISION_PERIOD = 0.05  # s


class Pipeline:
    """All stages of a manager. Made by :func:`pipeline_builder.build_pipeline`.

    Args:
        services: what the stages share.
        stages: their nodes, in the order of the configuration.
        quarantine: keeps items that failed too often.
        node: the manager's, for its clock and its logger.
    """

    def __init__(
        self,
        services: PipelineServices,
        stages: Mapping[str, StageNode],
        quarantine: QuarantineRecorder,
        node: ManagedNode,
    ) -> None:
        self.config = self._first_config = services.pipeline
        self.stages = stages
        self.spares = services.spares
        self.frames = services.frames
        self.channels = services.channels
        self.output = services.output
        self._dispatcher = services.dispatcher
        self._outbox = services.outbox
        self._slots_by_pid = services.slots_by_pid
        # The workers of an earlier manager, which try to connect before they are adopted.
        self.expected_pids: frozenset[int] = frozenset()
        self._launcher = services.launcher
        self._quarantine = quarantine
        self.clock = PipelineClock(node, services, stages)
        self._logger = node.get_logger()
        self._stream_started = False
        self.pauses = Pauses(
            stages, self.config.heartbeat_timeout, SUPERVISION_PERIOD, self._logger
        )
        # Looks after the folder of its state; given by the builder.
        self.guard: FolderGuard | None = None
        # When a new participant is due; given by the manager's process.
        self.absence: Absence | None = None
        # Called with a stage and its settings that hold, after others had to be given up.
        self.revert: Callable[[str, dict[str, Any]], None] = lambda _stage, _settings: None
        # Called in each tick with the time, s: logs what came too often to be logged at once.
        self.log_withheld: Callable[[float], None] = lambda _now: None

    # -- the graph -------------------------------------------------------------------------------

    def open_nodes(self) -> None:
        """Have all stages join the graph."""
        for stage in self.stages.values():
            stage.open_node()

    @property
    def is_in_graph(self) -> bool:
        """Return whether the nodes of all stages are in the graph."""
        return all(stage.is_in_graph for stage in self.stages.values())

    # -- processes -------------------------------------------------------------------------------

    def is_worker(self, pid: int) -> bool:
        """Return whether a process is one of the workers, which alone may connect."""
        return pid in self._slots_by_pid or pid in self.expected_pids

    def worker_connected(self, channel: Channel, hello: Packet) -> PacketHandler | None:
        """Return what to call with a worker's packets; None to have it connect again later.

        Raises ProtocolError.
        """
        stage, name, received = read_hello(hello)
        slot = self._slots_by_pid.get(channel.peer_pid)
        if slot is None:
            return None  # its stage is not configured yet
        if (slot.stage, slot.name) != (stage, name):
            raise ProtocolError(
                f'found a hello of {stage[:40]}/{name[:40]}; allowed: of {slot.stage}/{slot.name}'
            )
        return self.stages[stage].worker_connected(slot, channel, received, hello.number)

    def process_exited(self, pid: int, reason: str) -> None:
        """Handle the exit of a worker or a spare. ``reason`` in words."""
        slot = self._slots_by_pid.pop(pid, None)
        if slot is not None:
            self.stages[slot.stage].process_exited(slot, pid, reason)
        else:
            self.spares.on_exit(pid, reason)

    def processes_left_behind(self, pid: int, text: str, count: int) -> None:
        """Log and count the processes that a worker or a spare has left behind.

        Args:
            pid: Its pid.
            text: Which processes they are, and what became of them.
            count: How many they are.
        """
        slot = self._slots_by_pid.get(pid)
        if slot is not None:
            slot.processes_left_behind(text, count)
        else:
            self._logger.warning(f'a process that has exited (pid {pid}) left {text}')

    def _revert(self, name: str, stage: StageNode) -> None:
        """Have settings restored that no worker could start with."""
        update = stage.workers.update
        settings, update.reverted = update.reverted, {}
        if settings:
            self.revert(name, settings)

    # -- time ------------------------------------------------------------------------------------

    def tick(self, now: float, *, is_active: bool) -> HoldUp:
        """Supervise all stages, start the stream when they are ready, and keep spares.

        Args:
            now: s.
            is_active: whether the manager's lifecycle state is active.

        Returns:
            For how long the manager had stood still before.
        """
        hold_up = self.pauses.tick(now)
        for name, stage in self.stages.items():
            stage.tick(now)
            self._revert(name, stage)
        self.channels.check(now)
        if self.guard is not None:
            self.guard.tick(now)
        if is_active and not self._stream_started:
            self._start_stream_if_ready()
        self.clock.tick(now)
        self.log_withheld(now)
        self.release_frames()
        with self._outbox:
            self._dispatcher.frames_released()  # or whatever else has made room meanwhile
        self.spares.tick(now, allow_start=self._stream_started and not self._is_starting_workers())
        return hold_up

    def release_frames(self) -> None:
        """Free the frames that nothing refers to any more, and use the room."""
        frames = self.frames
        # The first check is there for its speed: this is called after each event.
        if (
            frames.unreferenced
            and frames.release_unreferenced()
            and self._dispatcher.budget.blocked
        ):
            with self._outbox:
                self._dispatcher.frames_released()

    def _is_starting_workers(self) -> bool:
        return any(
            slot.supervision.phase is Phase.STARTING
            for stage in self.stages.values()
            for slot in stage.slots.values()
        )

    def _start_stream_if_ready(self) -> None:
        """Start the stream once every stage has an active worker, so that no source runs ahead."""
        if not all(len(stage.dispatcher.pool) for stage in self.stages.values()):
            return
        self._stream_started = True
        self._logger.info('every stage is active')
        self.clock.start_sources()

    @property
    def threads_are_running(self) -> bool:
        """Return whether the threads that watch processes and sockets are alive."""
        return self._launcher.is_running and self.channels.is_running

    def liveness_records(self) -> Iterator[LivenessRecord]:
        """Yield the liveness records of the present workers."""
        for slot in self._slots_by_pid.values():
            if slot.liveness is not None:
                yield slot.liveness

    # -- the end ---------------------------------------------------------------------------------

    @property
    def obstacle(self) -> str:
        """Return why a successor may not take over: a change it would not know; '' if none."""
        if self.config != self._first_config:
            return 'settings that were changed while it was running'
        for name, stage in self.stages.items():
            if stage.state != 'active':
                return f'that {name} is {stage.state}'
            for slot in stage.slots.values():
                if slot.supervision.phase is Phase.CORDONED:
                    return f'that {name}/{slot.name} was deactivated'
        return ''

    def hand_over(self) -> None:
        """Leave everything to a successor: all items, and the workers. Raises OSError."""
        journal = self._outbox.journal
        before, journal.payloads = journal.payloads, True
        try:
            journal.checkpoint(self.snapshot())
        except OSError:
            journal.payloads = before
            raise
        self.channels.close()  # answers from now on are for the successor

    @property
    def lost_folder(self) -> str:
        """Return why the manager has to end: another one has its folder; '' if none has."""
        return self.guard.lost if self.guard is not None else ''

    def close_intake(self) -> None:
        """Accept no more items, ask sources for no more, and keep no more spares."""
        self._dispatcher.close_intake()
        self.spares.close()

    @property
    def is_done(self) -> bool:
        """Return whether every source is exhausted, and everything has left the pipeline."""
        if not self._stream_started:
            return False
        # A source that gives nothing but context, as a vehicle its odometry, may never end.
        stages = [
            stage.dispatcher
            for name, stage in self.stages.items()
            if not self.config.is_context_only(name)
        ]
        exhausted = all(stage.source.exhausted for stage in stages if stage.policy.is_source)
        return exhausted and all(stage.ledger.empty for stage in stages)

    def unfinished(self) -> dict[str, int]:
        """Return, by stage, how many items are left, of the stages with any."""
        left = {name: stage.dispatcher.ledger.unfinished for name, stage in self.stages.items()}
        return {name: count for name, count in left.items() if count}

    @property
    def is_drained(self) -> bool:
        """Return whether no stage has an item left that its workers could finish."""
        return all(
            stage.dispatcher.ledger.empty or not stage.slots for stage in self.stages.values()
        )

    async def drain(self) -> str:
        """Wait until all items that are here now have left. Returns why they have not, or ''."""
        # From the sources on: what a stage finishes is more for the next.
        for name in self._dispatcher.graph.from_the_sources:
            left = await self.stages[name].drain()
            if left:
                return left
        return ''

    def log_totals(self) -> None:
        """Log what became of the items of each stage."""
        for name, stage in self.stages.items():
            totals = stage.dispatcher.ledger.counters
            left = stage.dispatcher.ledger.unfinished
            self._logger.info(
                f'{name}: {totals.accepted} accepted, {totals.completed} completed, '
                f'{totals.dropped} dropped, {totals.quarantined} quarantined'
                + (f', {left} unfinished' if left else '')
            )

    def flush_outputs(self, timeout: float) -> None:
        """Wait until subscribers have received each stage's outputs, up to ``timeout`` s each."""
        for stage in self.stages.values():
            if stage.output is not None:
                stage.output.flush(timeout)

    def destroy(self) -> None:
        """Take the stages out of the graph, and close the connections to workers."""
        self._quarantine.close(2.0)
        for stage in self.stages.values():
            if stage.is_in_graph:
                stage.destroy_node()
        self.channels.close()

    # -- settings and figures --------------------------------------------------------------------

    def reconfigure(self, config: PipelineConfig, named: Collection[str] = ()) -> None:
        """Change the settings that may change while the pipeline is running.

        Args:
            config: the configuration from now on.
            named: the stages of which somebody has set a parameter, changed or not.
        """
        self.config = config
        for name in named:
            self.stages[name].workers.update.rollout.acknowledge()
        self.clock.set_simulated(is_simulated=config.use_sim_time)
        for name, stage in config.stages.items():
            self.stages[name].reconfigure(stage)

    def snapshot(self) -> dict[str, Any]:
        """Return, by stage, all that a later manager has to know, as plain values."""
        return {name: stage.snapshot() for name, stage in self.stages.items()}

    def statistics(self, now: float) -> list[StageStatistics]:
        """Return what each stage is doing now. ``now``: s."""
        return [stage.statistics(now) for stage in self.stages.values()]
