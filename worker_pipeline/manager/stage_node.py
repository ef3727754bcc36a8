# SPDX-License-Identifier: Apache-2.0
"""A stage: a lifecycle node in the manager's process, around the stage's dispatcher.

It turns what happens to its endpoints and its workers into events of ``core/stage_dispatcher.py``.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from functools import partial
from typing import Any

from worker_pipeline.config import StageConfig, has_separate_states
from worker_pipeline.core.stage_policy import EXTERNAL_INPUT
from worker_pipeline.core.supervision_table import DesiredState, WorkerConnected
from worker_pipeline.manager import stage_statistics as statistics
from worker_pipeline.manager.answer_handler import AnswerHandler, makes_frames
from worker_pipeline.manager.channel_server import PacketHandler
from worker_pipeline.manager.drop_log import DropLog
from worker_pipeline.manager.exit_reporter import ExitReporter
from worker_pipeline.manager.input_stamps import InputStamps
from worker_pipeline.manager.output_publisher import OutputPublisher, open_output
from worker_pipeline.manager.policies import policy_of
from worker_pipeline.manager.services import PipelineServices
from worker_pipeline.manager.slot import Slot
from worker_pipeline.manager.source_ticks import SourceTicks
from worker_pipeline.manager.stage_inputs import StageInputs
from worker_pipeline.manager.stage_links import StageLinks
from worker_pipeline.manager.stage_services import open_stage_services
from worker_pipeline.manager.stage_statistics import StageStatistics
from worker_pipeline.manager.stage_workers import StageWorkers
from worker_pipeline.manager.worker_facts import (
    WorkerAvailable,
    WorkerExited,
    WorkerFact,
    WorkerFailing,
)
from worker_pipeline.protocol.channel import Channel, Packet
from worker_pipeline.recovery.records import FramesRetained, OutputPublished
from worker_pipeline.recovery.recover import RecoveredStage
from worker_pipeline.recovery.stage_recovery import (
    restore_stage,
    saved_answers,
    workers_that_died,
)
from worker_pipeline.recovery.state_dir import remove_liveness_record
from worker_pipeline.ros import message_types, qos
from worker_pipeline.ros.late_node import LateNode
from worker_pipeline.ros.lifecycle import until
from worker_pipeline.ros.throttled_log import ThrottledLog


class StageNode(LateNode):
    """The node of one stage, which works before ``open_node`` has it join the graph."""

    def __init__(self, config: StageConfig, services: PipelineServices) -> None:
        super().__init__(config.name, services.namespace, services.clock)
        self._shared = services  # rclpy has a `_services` of its own
        self.config = config
        self.plugin = services.plugins[config.name]
        self.dispatcher = services.dispatcher.stages[config.name]
        self.workers = StageWorkers(self, config, self.plugin, self.dispatcher.pool, services)
        self.slots = self.workers.slots
        self._log = ThrottledLog(self.get_logger())
        stamps = InputStamps(config, services.ros_time)
        self.inputs = StageInputs(
            self, self.dispatcher, services.outbox, self._log, services.own_subscriptions, stamps
        )
        self.links = StageLinks(self, services.own_subscriptions)
        self.output: OutputPublisher | None = None
        self.input_topic = f'{self.get_fully_qualified_name()}/{EXTERNAL_INPUT}'
        self.answers = AnswerHandler(
            self.dispatcher,
            services.frames,
            self.plugin.input_type,
            makes_frames(self.plugin.output_type, services.frames),
            self._log,
        )
        self.exits = ExitReporter(services.output, self.get_logger())
        self._outbox = services.outbox
        self._recovered: RecoveredStage | None = None
        self.is_awaited = False  # by subscribers outside, since a restart
        self._drop_log = DropLog(self.get_logger(), services.pipeline.frame_memory)
        self.ticks = SourceTicks(self, self.dispatcher, self._outbox, services.ros_time)
        # By worker: the references of the frames that it retains.
        self._retained: dict[str, list[bytes]] = {}

    def open_node(self) -> None:
        """Join the graph, and show what goes to and from the workers."""
        services = self._shared
        self.join_graph(services.ros_arguments, use_sim_time=services.ros_time.is_simulated)
        if self._recovered is not None:
            # First: the earlier manager's subscribers wait, and publishers lose their messages now.
            self._open_output()
            self._open_inputs()
        open_stage_services(self, self.config.name, self._flush, self.drain)
        self.workers.open_mirrors()

    # -- lifecycle -------------------------------------------------------------------------------

    async def do_configure(self) -> None:
        if self.output is None:
            self._open_output()
        self._open_inputs()
        self.links.open(self.config, self._shared.plugins)
        if not self.workers.is_open:
            self.workers.open(None)
        self.ticks.open()
        self._set_desired(DesiredState.INACTIVE)
        await self.workers.settled(self.config.startup_timeout)

    def _open_inputs(self) -> None:
        self.inputs.open(
            message_types.class_of(self.plugin.input_type),
            self.config.subscribed_inputs,
            self._shared.pipeline.stages,
            is_large=self.plugin.input_type in qos.LARGE_MESSAGES,
        )

    def _open_output(self) -> None:
        self.output = open_output(
            self,
            self.config.name,
            self.plugin.output_type,
            is_context=self._shared.pipeline.is_context(self.config.name),
            own_subscriptions=self._shared.own_subscriptions,
            outbox=self._outbox,
            frames=self._shared.frames,
        )
        recovered, self._recovered = self._recovered, None
        if recovered is not None:
            unacked, lost = recovered.unacked_outputs, recovered.outputs_lost
            self.output.resume(recovered.subscribers, unacked, time.monotonic(), lost)

    async def do_activate(self) -> None:
        self._set_desired(DesiredState.ACTIVE)
        await self.workers.settled(self.config.startup_timeout)
        with self._outbox:
            self.dispatcher.dispatch()

    async def do_deactivate(self) -> None:
        self._set_desired(DesiredState.INACTIVE)
        # Every worker finishes what it holds before it is inactive.
        await self.workers.settled(self.workers.drain_timeout)

    async def do_cleanup(self) -> None:
        await self.stop_workers(grace=2.0)
        self.workers.close()
        self.inputs.close()
        self.links.close()
        self.ticks.close()
        if self.output is not None:
            self.output.destroy()
            self.output = None

    async def do_shutdown(self) -> None:
        await self.stop_workers(grace=1.0)

    async def stop_workers(self, grace: float) -> bool:
        """Stop every worker, by signals after ``grace`` s; return whether all are gone."""
        self.workers.begin_stop(grace)
        self._consume_facts()
        return await until(lambda: self.workers.all_gone, grace + 2.0)

    def _set_desired(self, desired: DesiredState) -> None:
        self.workers.set_desired(desired)
        self._consume_facts()

    # -- after a crash of the manager ------------------------------------------------------------

    def restore(self, recovered: RecoveredStage) -> None:
        """Take over what an earlier manager has left of this stage, before it is configured."""
        restore_stage(self.dispatcher, recovered)
        for worker, references in recovered.retained_frames.items():
            if worker in recovered.live_workers:
                self._retain(worker, references)
        self._recovered, self.is_awaited = recovered, recovered.subscribers > 0

    def resume(self) -> None:
        """Continue with the items and the workers where the earlier manager ended."""
        recovered, now = self._recovered, time.monotonic()
        if recovered is None:
            return  # it had no such stage
        is_recorded = recovered.is_complete and not self.dispatcher.ledger.lacks_messages
        with self._outbox:
            self.dispatcher.resume(recovered.payloads, now)
            for worker in workers_that_died(self.dispatcher, recovered):
                pid = recovered.dead_pids.get(worker, 0)
                suspect = recovered.active_items.get(worker)
                self._requeue_from(worker, pid, 'died while there was no manager', suspect)
        if not is_recorded:
            # Items that were lost have been dropped, which is not recorded: start from here.
            self._outbox.checkpoint()
        self.workers.open(recovered)
        self._consume_facts()

    def publish(self, message: bytes) -> None:
        """Publish an output when the event is over; later, where the node is not in the graph."""
        if self.output is not None:
            self.output.publish(message)
        elif self._recovered is not None and self._recovered.subscribers:
            self._outbox.journal.append(self.config.name, OutputPublished(message))
            self._recovered.unacked_outputs.append(message)

    def snapshot(self) -> dict[str, Any]:
        """Return all that a later manager has to know, as plain values."""
        output: dict[str, Any] = {'subscribers': 0, 'unacked_outputs': [], 'outputs_lost': 0}
        if self._recovered is not None:
            output = {key: getattr(self._recovered, key) for key in output}
        elif self.output is not None:
            output = self.output.snapshot()
        return {
            **self.dispatcher.snapshot(payloads=self._outbox.journal.payloads),
            'retained_frames': self._retained,
            **output,
        }

    # -- workers ---------------------------------------------------------------------------------

    def worker_connected(
        self, slot: Slot, channel: Channel, received: Collection[int], last_frame: int
    ) -> PacketHandler:
        """Use a worker's new connection, and send what has not reached it.

        Args:
            slot: the worker's.
            channel: the connection.
            received: the numbers of the items that it has received.
            last_frame: the number of the last frame that it had sent.

        Returns:
            What to call with its packets.
        """
        pid, now = channel.peer_pid, time.monotonic()
        self._shared.note_process(pid)
        slot.channel.attach(channel, pid, last_frame)
        slot.channel.set_sim_time(is_simulated=self._shared.ros_time.is_simulated)
        self._shared.contexts.send_kept(slot)
        slot.adopted = False
        with self._outbox:
            self.dispatcher.worker_connected(slot.name, received, now)
        slot.handle(WorkerConnected(pid), now)
        self._consume_facts()
        return partial(self._on_packets, slot, pid)

    def _on_packets(self, slot: Slot, pid: int, packets: list[Packet]) -> None:
        with self._outbox:
            reports, retained, failure = self.answers.handle(slot.name, pid, packets)
            if retained is not None:
                record = FramesRetained(slot.name, retained)
                self._outbox.journal.append(self.config.name, record)
                self._retain(slot.name, retained)
        slot.last_error = failure or slot.last_error
        for report in reports:
            slot.status_reported(pid, report, time.monotonic())
            self.workers.admit(time.monotonic())
        if self.workers.facts:
            self._consume_facts()

    def _retain(self, worker: str, references: list[bytes]) -> None:
        self._retained.pop(worker, None)
        if references:
            self._retained[worker] = references
        self._shared.frames.set_retained(f'{self.config.name}/{worker}', references)

    def process_exited(self, slot: Slot, pid: int, reason: str) -> None:
        """Handle the exit of a slot's process; what it had sent before still counts."""
        slot.channel.read_remaining()
        # A start takes milliseconds: first a standby takes over, and the items go to other workers.
        self.workers.process_gone(slot)
        slot.process_exited(pid, reason, time.monotonic())
        self._consume_facts()
        slot.start_successor(time.monotonic())
        self._consume_facts()

    def _consume_facts(self) -> None:
        """Act on what happened to the workers, and on what that leads to, one after the other."""
        facts = self.workers.facts
        while facts:
            fact = facts.popleft()
            with self._outbox:
                self._consume(fact)
            self.exits.end(time.monotonic())
            if isinstance(fact, WorkerExited) and fact.record is not None:
                # Not earlier: until it is in the journal, a later manager needs the record.
                self._shared.frames.producer_died(fact.record.read().pid)
                remove_liveness_record(fact.record)
        self.workers.note_activity(time.monotonic())

    def _consume(self, fact: WorkerFact) -> None:
        if isinstance(fact, WorkerFailing):
            self.workers.promote_standby(self.slots[fact.slot])
        elif isinstance(fact, WorkerAvailable):
            self.get_logger().info(f'{fact.slot} (pid {fact.pid}) is active')
            self.dispatcher.worker_available(fact.slot)
        elif isinstance(fact, WorkerExited):
            self._worker_exited(fact)
        else:
            self.dispatcher.worker_unavailable(fact.slot)

    def _worker_exited(self, fact: WorkerExited) -> None:
        self.exits.begin(fact, self.dispatcher.ledger.held_by(fact.slot))
        self._retain(fact.slot, [])
        pid = fact.record.read().pid if fact.record is not None else 0
        self._requeue_from(fact.slot, pid, fact.reason, fact.suspect)

    def _requeue_from(self, worker: str, pid: int, reason: str, suspect: int | None) -> None:
        """Requeue a dead worker's items, apart from those that it finished unnoticed."""
        now = time.monotonic()
        if self.plugin.remembers:
            state = self.workers.specs.state_of(worker)
            for answer in saved_answers(self.dispatcher, worker, state, self.get_logger().error):
                self.answers.book(worker, pid, answer, now)
        self.dispatcher.worker_exited(worker, reason, suspect, now)

    # -- time and settings -----------------------------------------------------------------------

    def start_stream(self, epoch: int) -> None:
        """Begin to ask a source for items. ``epoch``: ROS time, ns."""
        with self._outbox:
            self.dispatcher.stream_started(epoch)

    def follow_time(self, *, is_simulated: bool) -> None:
        """Change where the stage's node and its workers take ROS time from."""
        self.set_sim_time(is_simulated=is_simulated)
        for slot in self.slots.values():
            slot.channel.set_sim_time(is_simulated=is_simulated)

    def tick(self, now: float) -> None:
        """Supervise every slot, and publish what waited for its subscribers. ``now``: s."""
        self.workers.tick(now, self.dispatcher.ledger.held_by)
        self._consume_facts()
        self.exits.tick(now)
        self.inputs.tick(now)
        self._log.tick(now)
        self.links.tick(now)
        self._drop_log.report(
            self.dispatcher.ledger.counters.dropped,
            self.dispatcher.budget.dropped[self.config.name],
            self.config.queue_size,
            now,
        )
        if self.output is not None:
            self.output.tick(now)

    def reconfigure(self, config: StageConfig) -> None:
        """Change the settings that may change while the stage is running."""
        if config == self.config:
            return
        self.config = config
        with self._outbox:
            self.dispatcher.set_policy(policy_of(config, self.plugin))
        self.workers.reconfigure(config)
        self._consume_facts()

    def statistics(self, now: float) -> StageStatistics:
        """Return what the stage and its workers are doing now. ``now``: s."""
        values = statistics.dispatcher_values(self.dispatcher, now)
        values['refused'] += self.inputs.bad_messages
        values |= self.inputs.values() | {'by_socket': self.answers.frames_sent_inline}
        values |= self.workers.values() | {'workers': self.config.workers}
        values |= self.output.values() if self.output else {'listeners': 0, 'outputs_lost': 0}
        return StageStatistics(
            name=self.config.name,
            node=self.get_fully_qualified_name(),
            state=self.state,
            workers_wanted=self.config.workers,
            workers_active=len(self.dispatcher.pool),
            values=values,
            inputs_without_publisher=tuple(sorted(self.inputs.without_publisher)),
            workers=self.workers.statistics(self.dispatcher.ledger.held_by, now),
            separate_states=has_separate_states(self.config, self.plugin),
            notes=self.workers.notes(now)
            + self.links.notes()
            + self.inputs.notes()
            + statistics.stage_notes(self.dispatcher, self._shared.ros_time, now),
        )

    # -- services --------------------------------------------------------------------------------

    def _flush(self) -> int:
        with self._outbox:
            count = self.dispatcher.flush()
        self._drop_log.exclude(count)
        return count

    async def drain(self) -> str:
        """Wait until all items that are here now have left. Returns why not, or ''."""
        ledger, last = self.dispatcher.ledger, self.dispatcher.ledger.last_number

        def is_over() -> bool:
            is_stopped = self.state != 'active' or self._shared.interrupted()
            return is_stopped or ledger.departed_through(last)

        await until(is_over)
        if ledger.departed_through(last):
            return ''
        state = 'stopping' if self.state == 'active' else self.state
        return f'{self.config.name} is {state}; {ledger.unfinished} items are left'
