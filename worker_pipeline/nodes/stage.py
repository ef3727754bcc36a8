"""A stage: a lifecycle node of the manager's process that keeps its queue, ledger and pool."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import attrs
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.duration import Duration
from rclpy.serialization import serialize_message

from worker_pipeline.config import PipelineConfig, PluginDescription, StageConfig, is_source
from worker_pipeline.core.item import ItemKey
from worker_pipeline.core.latency import LatencyWindow
from worker_pipeline.core.ledger import NOTHING, Acceptance, Delivered, Ledger, Overflow, Settled
from worker_pipeline.core.restart_policy import RestartPolicy
from worker_pipeline.core.supervision import (
    Goal,
    LinkVerified,
    Phase,
    Supervision,
    Timing,
    WorkOverdue,
)
from worker_pipeline.nodes import qos, worker_contract
from worker_pipeline.nodes.lifecycle import ManagedNode, until
from worker_pipeline.nodes.slot import Slot
from worker_pipeline.nodes.worker_contract import WorkerSpec
from worker_pipeline.nodes.worker_link import WorkerLink
from worker_pipeline.pool import RefreshingWorkerPool
from worker_pipeline.runtime import message_types
from worker_pipeline.runtime.cdr import BadMessageError, split_stamp, stamp_of
from worker_pipeline.runtime.dds import Profiles
from worker_pipeline.runtime.processes import Launcher

# The input that takes items from outside and by hand.
BY_HAND = 'input'
# The input of a source: what it is asked for.
TICK = 'tick'


@attrs.frozen
class Surroundings:
    """What a stage is given by the manager that makes it."""

    pipeline: PipelineConfig
    plugins: dict[str, PluginDescription]
    namespace: str
    launcher: Launcher
    manager_pid: int
    quarantine: Any  # publisher
    ros_arguments: tuple[str, ...]  # for the stage's node
    worker_arguments: tuple[str, ...]  # for the workers' contexts
    profiles: Profiles | None  # of DDS, for the workers; None: as the user has set
    participant_numbers: Iterator[int]  # of DDS, one for each worker process
    note_process: Callable[[int], None]  # told the pid of every worker that has come up
    interrupted: Callable[[], bool]  # whether a wait is to be cut short, as all is to end


class StageNode(ManagedNode):
    """Shares the items of one stage out among its workers, and passes their answers on in order."""

    def __init__(self, config: StageConfig, around: Surroundings) -> None:
        super().__init__(
            config.name,
            namespace=around.namespace,
            use_global_arguments=False,
            cli_args=list(around.ros_arguments),
        )
        self.config = config
        self.plugin = around.plugins[config.name]
        self.is_source = is_source(config, self.plugin)
        self.ledger = Ledger(
            queue_size=config.queue_size,
            overflow=config.overflow,
            max_attempts=config.max_attempts,
            ordered=config.ordered,
        )
        self.latency = LatencyWindow()
        self.pool: RefreshingWorkerPool[Slot] = RefreshingWorkerPool(config.concurrency)
        self.slots: dict[str, Slot] = {}
        self.followers: list[StageNode] = []
        self.upstream: list[StageNode] = []
        self.exhausted = False
        self.bad_messages = 0
        self._around = around
        self._open = True  # whether items from outside are accepted
        self._epoch: int | None = None
        self._last_tick = 0
        self._tick_due = False
        self._dropped_told = 0
        self._main_input = (
            config.inputs[0] if config.inputs else TICK if self.is_source else BY_HAND
        )
        # By stage: under which inputs it has handed items over.
        self._handed: dict[str, set[str]] = {}
        self._subscriptions_of_items: list[Any] = []
        self._period_timer: Any = None
        self._output: Any = None

    # -- making it -------------------------------------------------------------------------------

    async def do_configure(self) -> None:
        config, around = self.config, self._around
        input_type = message_types.class_of(self.plugin.input_type)
        output_type = message_types.class_of(self.plugin.output_type)
        is_context = any(
            config.name in each.context.values() for each in around.pipeline.stages.values()
        )
        profile = qos.latched(qos.CONTEXT_DEPTH) if is_context else qos.reliable(qos.OUTPUT_DEPTH)
        self._output = self.create_publisher(output_type, f'{config.name}/output', profile)
        for source in (*config.inputs, BY_HAND):
            topic = source if source.startswith('/') else f'{source}/output'
            if source == BY_HAND:
                topic = f'{config.name}/{BY_HAND}'
            self._subscriptions_of_items.append(
                self.create_subscription(
                    input_type,
                    topic,
                    partial(self._on_message, source),
                    qos.reliable(qos.INPUT_DEPTH),
                    raw=True,
                )
            )
        for index in range(config.workers):
            self._add_slot(f'worker_{index}', input_type, output_type)
        if self.is_source and config.period > 0:
            self._period_timer = self.create_timer(config.period, self._on_period)
        self._set_goals(Goal.INACTIVE)
        await self._settled(config.startup_timeout)

    def _add_slot(self, name: str, input_type: Any, output_type: Any) -> None:
        pipeline = self._around.pipeline
        policy = RestartPolicy(
            backoff_max=pipeline.restart_backoff_max,
            limit=pipeline.restart_limit,
            window=pipeline.restart_window,
        )
        timing = Timing(
            heartbeat_timeout=pipeline.heartbeat_timeout,
            startup_timeout=self.config.startup_timeout,
        )
        link = WorkerLink(
            self, self.config.name, name, input_type, output_type, self.config.concurrency, self
        )
        self.slots[name] = Slot(
            name,
            Supervision(policy, timing),
            link,
            self._around.launcher,
            partial(self._worker_spec, name),
            self,
            self.get_logger(),
        )

    def _worker_spec(self, slot: str, target: str) -> WorkerSpec:
        around = self._around
        return WorkerSpec(
            namespace=around.namespace,
            stage=self.config.name,
            slot=slot,
            plugin=self.config.plugin,
            params=dict(self.config.params),
            contexts={
                # Only a stage of this pipeline is known to keep its last messages.
                name: (source, False)
                if source.startswith('/')
                else (f'{around.namespace}/{source}/output', True)
                for name, source in self.config.context.items()
                if name in self.plugin.contexts
            },
            concurrency=self.config.concurrency,
            target=target,
            heartbeat_period=around.pipeline.heartbeat_period,
            orphan_timeout=around.pipeline.orphan_timeout,
            manager_pid=around.manager_pid,
            ros_arguments=around.worker_arguments,
            dds_profile=(
                around.profiles.suited_to(self.plugin.output_type) if around.profiles else ''
            ),
            participant=next(around.participant_numbers),
        )

    # -- lifecycle -------------------------------------------------------------------------------

    async def do_activate(self) -> None:
        self._set_goals(Goal.ACTIVE)
        await self._settled(self.config.startup_timeout)
        self.pump()

    async def do_deactivate(self) -> None:
        self._set_goals(Goal.INACTIVE)
        # Every worker finishes what it holds before it is inactive.
        await self._settled(self.config.task_timeout * self.config.concurrency + 2.0)

    async def do_cleanup(self) -> None:
        await self.stop_workers(grace=2.0)
        for slot in self.slots.values():
            slot.link.destroy()
        self.slots.clear()
        for subscription in self._subscriptions_of_items:
            self.destroy_subscription(subscription)
        self._subscriptions_of_items.clear()
        if self._period_timer is not None:
            self.destroy_timer(self._period_timer)
        self.destroy_publisher(self._output)
        self._output = None

    async def do_shutdown(self) -> None:
        await self.stop_workers(grace=1.0)

    async def stop_workers(self, grace: float) -> bool:
        """Stop every worker through its lifecycle, then by signals; whether all are gone."""
        now = time.monotonic()
        for slot in self.slots.values():
            slot.set_goal(Goal.GONE, now, grace)
        return await until(self._all_gone, grace + 2.0)

    def _all_gone(self) -> bool:
        return all(slot.supervision.phase is Phase.EMPTY for slot in self.slots.values())

    def _set_goals(self, goal: Goal) -> None:
        now = time.monotonic()
        for slot in self.slots.values():
            slot.set_goal(goal, now)

    async def _settled(self, timeout: float) -> None:
        """Wait until every worker is as it should be. One that cannot be is told, and tried on."""

        def settled() -> bool:
            return self._around.interrupted() or all(
                slot.supervision.at_goal or slot.supervision.phase is Phase.CORDONED
                for slot in self.slots.values()
            )

        if not await until(settled, timeout):
            late = [name for name, slot in self.slots.items() if not slot.supervision.at_goal]
            self.get_logger().warning(f'{", ".join(late)}: not ready after {timeout:g} s; going on')

    # -- items in --------------------------------------------------------------------------------

    def close_intake(self) -> None:
        """Take no more items from outside, and ask sources for no more."""
        self._open = False

    def _on_message(self, source: str, message: bytes) -> None:
        """An item came by a topic."""
        if not self._open:
            return
        try:
            stamp = stamp_of(message)
        except BadMessageError as error:
            self.bad_messages += 1
            self.get_logger().warning(f'{source}: {error}; refused', throttle_duration_sec=1.0)
            return
        if any(self.ledger.knows(ItemKey(by, stamp)) for by in self._handed.get(source, ())):
            return  # a stage of ours handed it over already; the topic carries it for others
        self._accept(ItemKey(source, stamp), message)
        self.pump()

    def hand_over(self, stage: str, lineage: str, stamp: int, message: bytes) -> None:
        """An item came from a stage of the same manager."""
        self._handed.setdefault(stage, set()).add(lineage)
        self._accept(ItemKey(lineage, stamp), message)
        self.pump()

    def _accept(self, key: ItemKey, message: bytes) -> None:
        acceptance, pushed_out = self.ledger.accept(key, message, time.monotonic())
        if acceptance is Acceptance.DUPLICATE:
            self.get_logger().warning(
                f'{key.source}: an item with this stamp was here already; refused',
                throttle_duration_sec=1.0,
            )
        elif acceptance is Acceptance.REFUSED:
            self.get_logger().warning(
                f'{key.source}: the queue is full and overflow is block; refused',
                throttle_duration_sec=1.0,
            )
        elif pushed_out is not None:
            self.get_logger().debug('the queue is full; dropped its oldest item')

    # -- a source's items ------------------------------------------------------------------------

    def begin_stream(self, epoch: int) -> None:
        """The stream begins: sources are asked for items from now on. ``epoch`` in ROS time, ns."""
        self._epoch = epoch
        self._tick_due = True
        self.pump()

    def _on_period(self) -> None:
        # A period in which nobody could take the item is not made up for.
        self._tick_due = True
        self.pump()

    def _ask(self) -> None:
        """Book the next item to ask a source for, if one is due and somebody can take it."""
        if not self._tick_due and self.config.period > 0:
            return
        if self.exhausted or not self._open or self._epoch is None or self.ledger.waiting:
            return
        self._tick_due = False
        stamp = max(self.get_clock().now().nanoseconds, self._last_tick + 1)
        self._last_tick = stamp
        tick = message_types.class_of(self.plugin.input_type)(source=TICK)
        tick.header.stamp.sec, tick.header.stamp.nanosec = split_stamp(stamp)
        tick.time_ref.sec, tick.time_ref.nanosec = split_stamp(max(0, stamp - self._epoch))
        self._accept(ItemKey(TICK, stamp), serialize_message(tick))

    # -- items to the workers --------------------------------------------------------------------

    def room(self) -> int:
        """How many more items may be made for this stage; without a bound unless it blocks."""
        if self.config.overflow is not Overflow.BLOCK:
            return self.config.queue_size
        return self.ledger.free - sum(each.ledger.outstanding for each in self.upstream)

    def pump(self) -> None:
        """Give out work while there is work, and somebody to do it, and room for what it yields."""
        freed = False
        while True:
            slot = self.pool.least_loaded(self._load)
            if slot is None:
                break
            fresh = self._may_begin()
            if self.is_source and fresh:
                self._ask()
            item = self.ledger.assign(slot.name, fresh=fresh)
            if item is None:
                break
            freed = True
            if slot.busy_since is None:
                slot.busy_since = time.monotonic()
            slot.link.send(item.payload)
        if freed:
            for stage in self.upstream:
                stage.pump()

    def _load(self, slot: Slot) -> int:
        return self.ledger.held_by(slot.name)

    def _may_begin(self) -> bool:
        """Whether a new item may be begun, as there is room for what will come of it."""
        for follower in self.followers:
            if follower.room() <= 0:
                return False
        if not self.ledger.ordered:
            return True
        capacity = len(self.pool) * self.config.concurrency
        return self.ledger.outstanding < max(self.config.queue_size, capacity)

    # -- answers ---------------------------------------------------------------------------------

    def on_output(self, worker: str, stamp: int, message: bytes) -> None:
        self._answered(worker, self.ledger.complete(worker, stamp, (message,)))

    def on_outcome(self, worker: str, stamp: int, kind: str, text: str) -> None:
        if kind == worker_contract.NONE:
            self._answered(worker, self.ledger.complete(worker, stamp))
        elif kind == worker_contract.END_OF_STREAM:
            self.exhausted = True
            self._answered(worker, self.ledger.retract(worker, stamp))
        elif kind == worker_contract.RETURNED:
            self.ledger.give_back(worker, stamp)
            self._answered(worker, NOTHING)
        else:
            self.slots[worker].last_error = text
            self._answered(worker, self.ledger.fail(worker, stamp, text))

    def on_linked(self, worker: str, pid: int) -> None:
        self._around.note_process(pid)
        self.slots[worker].handle(LinkVerified(pid), time.monotonic())

    def _answered(self, worker: str, settled: Settled) -> None:
        slot = self.slots[worker]
        slot.busy_since = time.monotonic() if self.ledger.held_by(worker) else None
        self._settle(settled)
        self.pump()

    def _settle(self, settled: Settled) -> None:
        for delivered in settled.delivered:
            self._deliver(delivered)
        for item, cause in settled.quarantined:
            sec, nanosec = split_stamp(item.key.stamp)
            stamp = f'{sec}.{nanosec:09d}'
            self.get_logger().error(
                f'quarantined the item stamped {stamp} after {item.attempts} attempts: {cause}'
            )
            values = {
                'stage': self.config.name,
                'source': item.key.source,
                'stamp': stamp,
                'attempts': item.attempts,
            }
            self._around.quarantine.publish(
                DiagnosticStatus(
                    level=DiagnosticStatus.ERROR,
                    name=self.config.name,
                    message=cause,
                    values=worker_contract.key_values(values),
                )
            )

    def _deliver(self, delivered: Delivered) -> None:
        self.latency.add(time.monotonic() - delivered.accepted_at)
        if self.listeners:
            self._output.publish(delivered.payload)
        for follower in self.followers:
            follower.hand_over(
                self.config.name,
                self._lineage(delivered.key),
                delivered.key.stamp,
                delivered.payload,
            )

    @property
    def listeners(self) -> int:
        """How many subscriptions of the output, not of our own followers, have been found.

        The followers listen to the topic too, for what others publish there; they are handed the
        item itself, so it is published only when somebody else listens as well.
        """
        if self._output is None:
            return 0
        return max(0, int(self._output.get_subscription_count()) - len(self.followers))

    def _lineage(self, key: ItemKey) -> str:
        """The input an item comes by, for the stages that follow.

        Where a stage has several inputs, items of one stamp may come by each, and must not be
        taken for one another further down.
        """
        name = self.config.name
        return name if key.source == self._main_input else f'{name}<{key.source}'

    # -- workers come and go ---------------------------------------------------------------------

    def on_joined(self, slot: Slot) -> None:
        self.pool.join(slot)
        self.get_logger().info(f'{slot.name} (pid {slot.supervision.pid}) is at work')
        self.pump()

    def on_left(self, slot: Slot) -> None:
        self.pool.leave(slot)

    def on_gone(self, slot: Slot, reason: str, suspect: bool) -> None:
        held = self.ledger.held_by(slot.name)
        self._settle(self.ledger.release(slot.name, reason, suspect=suspect))
        if slot.supervision.goal is not Goal.GONE:
            self.get_logger().warning(
                f'{slot.name} ended: {slot.last_error or reason}; its {held} items go to others'
            )
        self.pump()

    # -- time ------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Let time pass: supervise every slot."""
        for slot in self.slots.values():
            since = slot.busy_since
            if since is not None and now - since > self.config.task_timeout:
                slot.busy_since = None
                slot.handle(
                    WorkOverdue(f'an item took longer than {self.config.task_timeout:g} s'), now
                )
            slot.tick(now)
        dropped = self.ledger.counters.dropped
        if dropped != self._dropped_told:
            self.get_logger().warning(
                f'dropped {dropped - self._dropped_told} items: the queue was full',
                throttle_duration_sec=1.0,
            )
            self._dropped_told = dropped

    def excuse(self, seconds: float) -> None:
        """For so long the manager's process was held up itself; nobody is to blame for it."""
        for slot in self.slots.values():
            slot.supervision.excuse(seconds)
            if slot.busy_since is not None:
                slot.busy_since += seconds

    @property
    def drained(self) -> bool:
        """Nothing is left to be done here, as things stand."""
        return self.ledger.empty

    def flush_output(self, timeout: float) -> None:
        """Give listeners up to ``timeout`` seconds to have received what was published."""
        if self._output is not None:
            self._output.wait_for_all_acked(Duration(seconds=timeout))
