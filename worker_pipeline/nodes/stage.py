"""A stage: a lifecycle node of the manager's process that keeps its queue, ledger and pool."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.event_handler import SubscriptionEventCallbacks
from std_srvs.srv import Trigger

from worker_pipeline.config import StageConfig, is_source
from worker_pipeline.core.item import TICK, ItemKey
from worker_pipeline.core.latency import LatencyWindow
from worker_pipeline.core.ledger import Acceptance, Delivered, Ledger, Overflow, Settled
from worker_pipeline.core.supervision import Goal, LinkVerified
from worker_pipeline.nodes import qos
from worker_pipeline.nodes.frame_room import FrameRoom
from worker_pipeline.nodes.lifecycle import ManagedNode, until
from worker_pipeline.nodes.matched_subscription import MatchedSubscription
from worker_pipeline.nodes.outlet import Outlet
from worker_pipeline.nodes.slot import Slot
from worker_pipeline.nodes.source import TickSource, read_clocks
from worker_pipeline.nodes.stage_workers import StageWorkers
from worker_pipeline.nodes.surroundings import Surroundings
from worker_pipeline.nodes.worker_contract import StateReport
from worker_pipeline.runtime import answers, frame_reference, message_types
from worker_pipeline.runtime.answers import Answer
from worker_pipeline.runtime.cdr import BadMessageError, stamp_of
from worker_pipeline.runtime.frame_reference import is_reference, rest_of
from worker_pipeline.runtime.inheritance import Legacy
from worker_pipeline.runtime.pipeline_folder import forget_page
from worker_pipeline.runtime.saved_state import SavedState
from worker_pipeline.runtime.vital_signs import VitalSigns

# The input that takes items from outside and by hand.
BY_HAND = 'input'


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
        self.ledger = Ledger(**self._rules(), record=around.outbox.journal.recorder(config.name))
        self.latency = LatencyWindow()
        self.workers = StageWorkers(self, config, self.plugin, around, self)
        self.slots, self.pool = self.workers.slots, self.workers.pool
        self.followers: list[StageNode] = []
        self.upstream: list[StageNode] = []
        self.source = TickSource(config.period)
        self.outlet: Outlet | None = None
        self.bad_messages = 0
        self.by_socket = 0  # outputs that shared memory had no room for
        # By input: how many messages came too fast for DDS.
        self.lost: dict[str, int] = {}
        # The inputs that were published by somebody, and are no more.
        self.deserted: set[str] = set()
        self._around = around
        self._outbox = around.outbox
        self._open = True  # whether items from outside are accepted
        self._dropped_told = 0
        self._main_input = (
            config.inputs[0] if config.inputs else TICK if self.is_source else BY_HAND
        )
        # By stage: under which inputs it has handed items over.
        self._handed: dict[str, set[str]] = {}
        self._legacy: Legacy | None = None
        self._releases: list[Callable[[], object]] = []  # of the inputs
        self._period_timer: Any = None
        # By worker: the frames that it has kept for itself.
        self._looks: dict[str, list[bytes]] = {}
        self.frame_room = FrameRoom(self, around.frames, around.frames.limit)
        # Groups of their own: whoever waits for a drain holds up nothing.
        for label, serve in (('flush', self._serve_flush), ('drain', self._serve_drain)):
            self.create_service(
                Trigger, f'{config.name}/{label}', serve, callback_group=ReentrantCallbackGroup()
            )

    def _rules(self) -> dict[str, Any]:
        config = self.config
        return {
            'queue_size': config.queue_size,
            'overflow': config.overflow,
            'max_attempts': config.max_attempts,
            'ordered': config.ordered,
        }

    # -- making it -------------------------------------------------------------------------------

    async def do_configure(self) -> None:
        config = self.config
        input_type = message_types.class_of(self.plugin.input_type)
        output_type = message_types.class_of(self.plugin.output_type)
        has_bytes = frame_reference.bytes_after(output_type) is not None
        self._makes_frames = has_bytes and self._around.frames.limit > 0
        self._make_outlet(output_type)
        legacy, self._legacy = self._legacy, None
        if legacy is not None:
            self._go_on(legacy)
        is_large = self.plugin.input_type in qos.LARGE_MESSAGES
        profile = qos.reliable(qos.LARGE_INPUT_DEPTH) if is_large else qos.keep_all()
        for source in (*config.inputs, BY_HAND):
            take, lost = partial(self._on_message, source), partial(self._on_lost, source)
            if source in self._around.pipeline.stages:
                # Its own publisher is known; others may publish there as it does.
                subscription = self.create_subscription(
                    input_type,
                    f'{source}/output',
                    take,
                    profile,
                    raw=True,
                    event_callbacks=SubscriptionEventCallbacks(message_lost=lost),
                )
                self._releases.append(partial(self.destroy_subscription, subscription))
            else:
                topic = f'{config.name}/{BY_HAND}' if source == BY_HAND else source
                matched = MatchedSubscription(
                    self,
                    input_type,
                    topic,
                    take,
                    profile,
                    raw=True,
                    message_lost=lost,
                    publishers=partial(self._on_publishers, topic) if source != BY_HAND else None,
                )
                self._releases.append(matched.destroy)
        self.workers.open(legacy)
        if self.is_source and config.period > 0:
            self._period_timer = self.create_timer(config.period, self._on_period)
        self.workers.set_goals(Goal.INACTIVE)
        await self.workers.settled(config.startup_timeout)

    def _make_outlet(self, output_type: Any) -> None:
        name = self.config.name
        is_large = self.plugin.output_type in qos.LARGE_MESSAGES
        depth = qos.LARGE_OUTPUT_DEPTH if is_large else qos.OUTPUT_DEPTH
        is_context = self._around.pipeline.is_context(name)
        profile = qos.latched(qos.CONTEXT_DEPTH) if is_context else qos.reliable(depth)
        publisher = self.create_publisher(output_type, f'{name}/output', profile)
        self.outlet = Outlet(
            self, name, publisher, len(self.followers), self._outbox, self._around.frames, depth
        )

    # -- after another manager -------------------------------------------------------------------

    def take_over(self, legacy: Legacy) -> None:
        """Take over what an earlier manager has left of this stage; before anything is made."""
        if legacy.book is not None:
            self.ledger.restore(legacy.book['ledger'])
            self.source.restore(legacy.book['source'])
            for stage, lineage in legacy.book['handed']:
                self._handed.setdefault(stage, set()).add(lineage)
        for name, arguments in legacy.changes:
            if name == 'source':
                self.source.restore(arguments[0])
            elif name == 'handed':
                self._handed.setdefault(arguments[0], set()).add(arguments[1])
            else:
                self.ledger.replay(name, arguments)
        self.ledger.keep_by(**self._rules())
        for worker, references in legacy.looks.items():
            if worker in legacy.living:
                self._look(worker, references)
        self._legacy = legacy

    def snapshot(self) -> dict[str, Any]:
        """All that a later manager is to know."""
        outside = self.outlet.snapshot() if self.outlet else {'listeners': 0, 'outside': []}
        if self._legacy is not None:
            outside = {'listeners': self._legacy.listeners, 'outside': self._legacy.outside}
        return {
            'ledger': self.ledger.snapshot(payloads=self._outbox.journal.payloads),
            'source': self.source.snapshot(),
            'handed': [(stage, name) for stage, names in self._handed.items() for name in names],
            'looks': self._looks,
            **outside,
        }

    def _go_on(self, legacy: Legacy) -> None:
        """Go on with the items, where the earlier manager ended."""
        assert self.outlet is not None
        self.outlet.resume(legacy.listeners, legacy.outside, time.monotonic())
        with self._outbox:
            for worker in self.ledger.workers:
                if worker not in legacy.living:
                    in_work = legacy.in_work.get(worker)
                    self._take_back(worker, 'died while there was no manager', in_work)
            self._settle(self.ledger.resume(legacy.payloads))
        # What is gone has been dropped by what cannot be replayed: begin from here.
        self._outbox.begin_anew()

    # -- while it runs ---------------------------------------------------------------------------

    def reconfigure(self, config: StageConfig) -> None:
        """Go on with other settings."""
        if config == self.config:
            return
        self.config = config
        self.ledger.keep_by(**self._rules())
        self.workers.reconfigure(config)
        self._pump_as_event()

    # -- lifecycle -------------------------------------------------------------------------------

    async def do_activate(self) -> None:
        self.workers.set_goals(Goal.ACTIVE)
        await self.workers.settled(self.config.startup_timeout)
        self._pump_as_event()

    async def do_deactivate(self) -> None:
        self.workers.set_goals(Goal.INACTIVE)
        # Every worker finishes what it holds before it is inactive.
        await self.workers.settled(self.workers.time_to_finish)

    async def do_cleanup(self) -> None:
        await self.stop_workers(grace=2.0)
        self.workers.close()
        while self._releases:
            self._releases.pop()()
        self.deserted.clear()
        if self._period_timer is not None:
            self.destroy_timer(self._period_timer)
        if self.outlet is not None:
            self.outlet.destroy()
            self.outlet = None

    async def do_shutdown(self) -> None:
        await self.stop_workers(grace=1.0)

    async def stop_workers(self, grace: float) -> bool:
        """Stop every worker through its lifecycle, then by signals; whether all are gone."""
        return await self.workers.stop(grace)

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
        with self._outbox:
            self._accept(ItemKey(source, stamp), message)
            self.pump()

    def _on_lost(self, source: str, told: Any) -> None:
        """DDS tells how many messages of a topic were lost on the way, all in all."""
        self.lost[source] = told.total_count
        self.get_logger().warning(
            f'{source}: {told.total_count} messages were lost before they came here, as there '
            'were more than their publisher keeps',
            throttle_duration_sec=1.0,
        )

    def _on_publishers(self, topic: str, count: int) -> None:
        """So many publish an input. A link to another machine may be cut, and nobody else says."""
        if not count:
            self.deserted.add(topic)
            self.get_logger().warning(f'{topic}: nobody publishes it any more')
        elif topic in self.deserted:
            self.deserted.remove(topic)
            self.get_logger().info(f'{topic}: is published again')

    def hand_over(self, stage: str, lineage: str, stamp: int, message: bytes) -> None:
        """An item came from a stage of the same manager, which will pump when it has given all."""
        lineages = self._handed.setdefault(stage, set())
        if lineage not in lineages:
            lineages.add(lineage)
            self._outbox.journal.note(self.config.name, 'handed', stage, lineage)
        self._accept(ItemKey(lineage, stamp), message)

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
        with self._outbox:
            if not self.source.epoch:
                self.source.begin(epoch)
                self._note_source()
            self.pump()

    def _on_period(self) -> None:
        self.source.come_due()
        self._pump_as_event()

    def _ask(self) -> None:
        """Book the next item to ask a source for, if one is due and somebody can take it."""
        if not self._open or self.ledger.waiting:
            return
        tick = self.source.next(*read_clocks(self.get_clock()))
        if tick is not None:
            stamp, message = tick
            self._accept(ItemKey(TICK, stamp), message)

    def _note_source(self) -> None:
        self._outbox.journal.note(self.config.name, 'source', self.source.snapshot())

    # -- items to the workers --------------------------------------------------------------------

    def room(self) -> int:
        """How many more items may be made for this stage; without a bound unless it blocks."""
        if self.config.overflow is not Overflow.BLOCK:
            return self.config.queue_size
        return self.ledger.free - sum(each.ledger.outstanding for each in self.upstream)

    def pump(self) -> None:
        """Give out work while there is work, and somebody to do it, and room for what it yields.

        Within an event: what is given out is sent when it is over.
        """
        freed = False
        while True:
            slot = self.pool.least_loaded(self._load)
            if slot is None:
                break
            item = self.ledger.assign(slot.name, fresh=False)
            if item is None and self._may_begin():
                if self.is_source:
                    self._ask()
                item = self.ledger.assign(slot.name)
            if item is None:
                break
            freed = True
            self._outbox.do(slot.link.send, item.number, item.payload)
        if freed:
            for stage in self.upstream:
                stage.pump_next()

    def pump_next(self) -> None:
        """Pump when what this event leads to has left: nobody is to wait for that."""
        self._outbox.follow(self._pump_as_event)

    def _pump_as_event(self) -> None:
        with self._outbox:
            self.pump()

    def _load(self, slot: Slot) -> int:
        return self.ledger.held_by(slot.name)

    def _may_begin(self) -> bool:
        """Whether a new item may be begun, as there is room for what will come of it."""
        for follower in self.followers:
            if follower.room() <= 0:
                return False
        if not self.frame_room.is_there():
            return False
        if not self.ledger.ordered:
            return True
        capacity = len(self.pool) * self.workers.concurrency
        return self.ledger.outstanding < max(self.config.queue_size, capacity)

    def on_frames_released(self) -> None:
        """There is more room for frames than there was."""
        if self.frame_room.waits:
            self._pump_as_event()

    @property
    def goes_on(self) -> bool:
        """Whether its items go on by themselves: they are begun, or will be by a worker to come."""
        return bool(self.ledger.begun or (self.ledger.waiting and not self.pool))

    @functools.cached_property
    def later(self) -> set[StageNode]:
        """The stages that come after it, the next and all others."""
        return {each for follower in self.followers for each in (follower, *follower.later)}

    @functools.cached_property
    def connected(self) -> set[StageNode]:
        """The stages that it is linked with, in whatever way; itself among them."""
        found: set[StageNode] = set()
        left = [self]
        while left:
            stage = left.pop()
            if stage not in found:
                found.add(stage)
                left += [*stage.followers, *stage.upstream]
        return found

    # -- answers ---------------------------------------------------------------------------------

    def on_answers(self, worker: str, told: list[Answer]) -> None:
        with self._outbox:
            for answer in told:
                self._take(worker, answer)
            if self.followers:
                self.pump_next()
            else:
                self.pump()

    def _take(self, worker: str, answer: Answer) -> None:
        """Book an answer, and pass on what it settles."""
        ledger, number, kind = self.ledger, answer.number, answer.kind
        if kind == answers.OUTPUT:
            slot = self.slots.get(worker)  # there is none yet of one that died without a manager
            self.frame_room.note(answer.output, slot.supervision.pid if slot else None)
            if not is_reference(answer.output):
                self.by_socket += self._makes_frames and len(answer.output) > frame_reference.LEAST
            self._settle(ledger.complete(worker, number, (answer.output,)))
        elif kind == answers.NONE:
            self._settle(ledger.complete(worker, number))
        elif kind == answers.RETURNED:
            ledger.give_back(worker, number)
            self._settle(ledger.drop_the_lost())
        elif kind == answers.END_OF_STREAM:
            self.source.exhausted = True
            self._note_source()
            self._settle(ledger.retract(worker, number))
        elif kind == answers.REFUSED:
            self.get_logger().warning(
                f'{worker}: an item is no {self.plugin.input_type} ({answer.text}); refused',
                throttle_duration_sec=1.0,
            )
            self._settle(ledger.refuse(worker, number))
        else:
            self.slots[worker].last_error = answer.text
            self._settle(ledger.fail(worker, number, answer.text))
            self._settle(ledger.drop_the_lost())

    def on_linked(self, worker: str, pid: int, has: set[int]) -> None:
        self._around.note_process(pid)
        slot = self.slots[worker]
        slot.inherited = False
        with self._outbox:
            for item in self.ledger.reconcile(worker, has):
                self._outbox.do(slot.link.send, item.number, item.payload)
            self._settle(self.ledger.drop_the_lost())
            slot.handle(LinkVerified(pid), time.monotonic())

    def on_looks(self, worker: str, references: list[bytes]) -> None:
        self._outbox.journal.note(self.config.name, 'looks', worker, references)
        self._look(worker, references)

    def _look(self, worker: str, references: list[bytes]) -> None:
        self._looks.pop(worker, None)
        if references:
            self._looks[worker] = references
        self._around.frames.look(f'{self.config.name}/{worker}', references)

    def on_state(self, worker: str, pid: int, report: StateReport) -> None:
        self.slots[worker].heard(pid, report, time.monotonic())

    def _settle(self, settled: Settled) -> None:
        for delivered in settled.delivered:
            self._deliver(delivered)
        if settled.delivered:
            # Only now: until all are handed over, there seems to be more room than there is.
            for follower in self.followers:
                follower.pump()
        for item, cause in settled.quarantined:
            topic = f'{self.get_fully_qualified_name()}/{BY_HAND}'
            text = self._around.quarantine.put(
                self.config.name, topic, self.plugin.input_type, item, cause, self._outbox
            )
            self.get_logger().error(text)
            for worker in item.blamed_for:
                if worker in self.slots:
                    self.slots[worker].pardon(time.monotonic())

    def _deliver(self, delivered: Delivered) -> None:
        assert self.outlet is not None
        self.latency.add(time.monotonic() - delivered.accepted_at)
        self.outlet.publish(delivered.payload)
        stamp = delivered.key.stamp
        if self.is_source and self.followers:
            stamp = stamp_of(rest_of(delivered.payload))  # its own, perhaps
        lineage = self._lineage(delivered.key)
        for follower in self.followers:
            follower.hand_over(self.config.name, lineage, stamp, delivered.payload)

    @property
    def listeners(self) -> int:
        """How many subscriptions of the output, not of our own followers, have been found."""
        return self.outlet.listeners if self.outlet else 0

    def _lineage(self, key: ItemKey) -> str:
        """The input an item comes by, for the stages that follow.

        Where a stage has several inputs, items of one stamp may come by each, and must not be
        taken for one another further down.
        """
        name = self.config.name
        return name if key.source == self._main_input else f'{name}<{key.source}'

    # -- workers come and go ---------------------------------------------------------------------

    def on_lost(self, slot: Slot) -> None:
        self.workers.relieve(slot)

    def on_joined(self, slot: Slot) -> None:
        self.pool.join(slot)
        self.get_logger().info(f'{slot.name} (pid {slot.supervision.pid}) is at work')
        self._pump_as_event()

    def on_left(self, slot: Slot) -> None:
        self.pool.leave(slot)

    def on_gone(self, slot: Slot, reason: str, in_work: int | None) -> None:
        held = self.ledger.held_by(slot.name)
        with self._outbox:
            self._look(slot.name, [])
            self._take_back(slot.name, reason, in_work)
            self._settle(self.ledger.drop_the_lost())
            if slot.supervision.goal is not Goal.GONE:
                self.get_logger().warning(
                    f'{slot.name} ended: {reason}; its {held} items go to others'
                )
            self.pump()

    def on_buried(self, signs: VitalSigns) -> None:
        self._around.frames.gone(signs.read().pid)
        forget_page(signs)

    def _take_back(self, worker: str, reason: str, in_work: int | None) -> None:
        """Take back what a dead worker held, but for what it did and could not tell any more."""
        if self.plugin.remembers:
            # What is in its state is done, whoever has heard of it: not to be applied again.
            saved = SavedState(self.workers.state_of(worker)).read()
            for answer in saved.answers if saved else ():
                if self.ledger.is_held(worker, answer.number):
                    self._take(worker, answer)
        self._settle(self.ledger.release(worker, reason, in_work))

    # -- time ------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Let time pass: supervise every slot."""
        self.workers.tick(now, self.ledger.held_by)
        self.on_frames_released()  # or whatever else has made room meanwhile
        if self.outlet is not None:
            self.outlet.tick(now)
        dropped = self.ledger.counters.dropped
        if dropped != self._dropped_told:
            self.get_logger().warning(
                f'dropped {dropped - self._dropped_told} items: the queue was full',
                throttle_duration_sec=1.0,
            )
            self._dropped_told = dropped

    def excuse(self, seconds: float) -> None:
        """For so long the manager's process was held up itself; nobody is to blame for it."""
        self.workers.excuse(seconds)

    # -- asked for from outside ------------------------------------------------------------------

    def _serve_flush(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Drop what waits in the queue."""
        with self._outbox:
            count = self.ledger.flush()
            for stage in self.upstream:
                stage.pump_next()
        response.success = True
        response.message = f'dropped {count} items'
        return response

    async def _serve_drain(
        self, _: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        left = await self.drain()
        response.success, response.message = not left, left or 'drained'
        return response

    async def drain(self) -> str:
        """Wait until all that is here now has left. Returns why it has not; '' if it did."""
        last = self.ledger.last_number

        def is_over() -> bool:
            stands_still = self.state != 'active' or self._around.interrupted()
            return stands_still or self.ledger.have_left(last)

        await until(is_over)
        if self.ledger.have_left(last):
            return ''
        state = 'stopping' if self.state == 'active' else self.state
        return f'{self.config.name} is {state}; {self.ledger.unfinished} items are left'

    @property
    def drained(self) -> bool:
        """Nothing is left to be done here, as things stand."""
        return self.ledger.empty

    def flush_output(self, timeout: float) -> None:
        """Give listeners up to ``timeout`` seconds to have received what was published."""
        if self.outlet is not None:
            self.outlet.flush(timeout)
