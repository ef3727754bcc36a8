# SPDX-License-Identifier: Apache-2.0
"""One stage's part in the flow of items: what it accepts, starts, forwards and quarantines.

Methods named after facts take an event and return nothing; what they decide is emitted as actions
(:mod:`worker_pipeline.core.dispatcher_actions`). Items for followers in the same pipeline are
handed from ledger to ledger, within the same event.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any

from worker_pipeline.core import dispatcher_actions as actions
from worker_pipeline.core.frame_budget import FrameBudget
from worker_pipeline.core.item import TICK, ItemKey
from worker_pipeline.core.latency import LatencyWindow
from worker_pipeline.core.ledger import Acceptance, Overflow, Record, Settled
from worker_pipeline.core.repeated_items import RefusedItem
from worker_pipeline.core.runs import Runs
from worker_pipeline.core.stage_flow_state import StageFlowState
from worker_pipeline.core.stage_policy import StagePolicy
from worker_pipeline.pool import RefreshingWorkerPool


class StageDispatcher(StageFlowState):
    """Shares the items of one stage out among its workers, and passes outputs on in order.

    Made and linked by :class:`worker_pipeline.core.dispatcher.Dispatcher`.

    Args:
        name: the stage's.
        policy: its settings.
        record: receives each change that a later manager has to repeat.
        emit: receives each action.
        schedule: called with this object to have ``dispatch`` called as a later event.
        stamp_of: returns the stamp of a serialised message, ns.
        runs: the present run of the pipeline.
    """

    def __init__(
        self,
        name: str,
        policy: StagePolicy,
        record: Record | None,
        emit: Callable[[actions.Action], None],
        schedule: Callable[[StageDispatcher], object],
        stamp_of: Callable[[Any], int],
        runs: Runs,
    ) -> None:
        super().__init__(name, policy, record, runs)
        self.pool: RefreshingWorkerPool[str] = RefreshingWorkerPool(policy.concurrency)
        self.latency = LatencyWindow()
        self.followers: tuple[StageDispatcher, ...] = ()
        self.upstream: tuple[StageDispatcher, ...] = ()
        self.budget: FrameBudget
        self._emit = emit
        self._schedule = schedule
        self._stamp_of = stamp_of
        self._is_asked = False  # whether an ``AskSource`` has not been followed by ``tick`` yet

    # -- items in --------------------------------------------------------------------------------

    def item_received(self, source: str, stamp: int, payload: Any, now: float) -> None:
        """Take an item that came by a topic.

        Args:
            source: the input it came by: a stage, an absolute topic, or ``input``.
            stamp: its identity, ns.
            payload: the message.
            now: s.
        """
        if not self.is_open:
            return
        if self._was_forwarded(source, stamp, now):
            return  # by a stage of this pipeline; the topic carries it for others
        key = self._identity(source, stamp, now)
        if self._runs.may_restart and self.ledger.knows(key):
            self.repeated.keep(RefusedItem(source, stamp, payload, now))
            return
        self._accept_external(key, payload, now)
        self.dispatch()

    def _accept_external(self, key: ItemKey, payload: Any, now: float) -> None:
        blocks = self.policy.overflow is Overflow.BLOCK
        capacity = self.policy.queue_size - self._reserved if blocks else None
        self._accept(key, payload, now, capacity)
        self.repeated.newest = max(self.repeated.newest, key.stamp)

    def forward(self, stage: str, key: ItemKey, payload: Any, now: float) -> None:
        """Take an item from a stage of this pipeline, which calls ``dispatch`` when it is done.

        Args:
            stage: the stage it comes from.
            key: its identity here: the route it came by, and its stamp.
            payload: the message.
            now: s.
        """
        self._note_route(stage, key.source)
        self._runs.handed_on(key.run, now)
        # A queue that blocks has reserved a place for it, whatever its size is by now.
        blocks = self.policy.overflow is Overflow.BLOCK
        self._accept(key, payload, now, sys.maxsize if blocks else None)

    def _accept(self, key: ItemKey, payload: Any, now: float, capacity: int | None = None) -> None:
        acceptance, _ = self.ledger.accept(key, payload, now, capacity=capacity)
        if acceptance is not Acceptance.ACCEPTED:
            self._emit(actions.ReportRejection(self.name, key, acceptance))
            if acceptance is Acceptance.DUPLICATE:
                self.repeated.refused(now)

    def flush(self) -> int:
        """Drop the queued items. Returns how many there were."""
        count = self.ledger.flush()
        self._schedule_upstream()
        return count

    def refuse_overdue(self, now: float) -> None:
        """Refuse the duplicates that were kept in case a new run begins, and none has."""
        for source, stamp, payload, arrived_at in self.repeated.overdue(now):
            self._accept_external(self._identity(source, stamp, arrived_at), payload, now)

    def run_started(self, now: float) -> None:
        """Record that a new run has begun, and take the items that came just before it did."""
        self._record_run()
        for source, stamp, payload, _ in self.repeated.take_kept():
            self.item_received(source, stamp, payload, now)

    # -- a source's items ------------------------------------------------------------------------

    def stream_started(self, epoch: int) -> None:
        """Begin to ask the source for items. ``epoch``: ROS time, ns."""
        if self.source.epoch is None:
            self.restart_stream(epoch)
        self.dispatch()

    def restart_stream(self, epoch: int) -> None:
        """Begin anew: ROS time has started over. ``epoch``: ROS time, ns."""
        self.source.reset()
        self.source.begin(epoch)
        self._record_source()
        self.dispatch()

    def clock_advanced(self, ros: int) -> None:
        """Make the next item due if simulated time says so. ``ros``: ROS time, ns."""
        self.source.advance(ros)
        self.schedule()

    def period_elapsed(self) -> None:
        """Make the next item of the source due."""
        self.source.come_due()
        self.schedule()

    def tick(
        self, make: Callable[[int, int], Any], ros: int, steady: int | None, now: float
    ) -> None:
        """Start the item that was announced by ``AskSource``, if it is still due.

        Args:
            make: returns the tick as a message, from its stamp and the time since the stream
                began, both in ns.
            ros: ROS time, ns.
            steady: the same moment by a clock that is never set, ns; None where time is simulated.
            now: s.
        """
        self._is_asked = False
        tick = self.source.next(ros, steady)
        if tick is not None:
            stamp, since = tick
            key = ItemKey(TICK, stamp, self._runs.number)
            self._accept(key, make(stamp, since), now)
            self.dispatch()

    # -- items to the workers --------------------------------------------------------------------

    @property
    def has_credit(self) -> bool:
        """Return whether one more item may be made for this stage; always, unless it blocks."""
        if self.policy.overflow is not Overflow.BLOCK:
            return True
        return self.ledger.free > self._reserved

    @property
    def _reserved(self) -> int:
        """Return how many places of the queue are reserved for outputs still to come."""
        return sum(stage.ledger.outstanding for stage in self.upstream)

    def dispatch(self) -> None:
        """Assign items while there are any, a worker has room, and their outputs will have.

        Returned items come first, and always: room for their outputs is reserved since they were
        first assigned.
        """
        ledger, assigned, is_source = self.ledger, False, self.policy.is_source
        while ledger.waiting or (is_source and self._tick_is_due()):
            worker = self.pool.least_loaded(ledger.held_by)
            if worker is None or not (ledger.returned or self._may_begin()):
                break
            item = ledger.assign(worker)
            if item is None:
                self._is_asked = True
                self._emit(actions.AskSource(self.name))
                break
            assigned = True
            self._emit(actions.SendItem(self.name, worker, item))
        if assigned:
            self._schedule_upstream()

    def _schedule_upstream(self) -> None:
        for stage in self.upstream:
            stage.schedule()

    def schedule(self) -> None:
        """Have the stage dispatched as a later event, if it has anything to assign."""
        if self.ledger.waiting or (self.policy.is_source and self._tick_is_due()):
            self._schedule(self)

    def _tick_is_due(self) -> bool:
        return self.is_open and not self._is_asked and self.source.is_due

    def _may_begin(self) -> bool:
        """Decide whether a new item may begin; only asked when one is about to.

        Frame memory comes last, as it costs the followers' queues their oldest items.
        """
        for follower in self.followers:
            if not follower.has_credit:
                return False
        if self.policy.ordered:
            # What is finished early waits for its turn; that must not grow without a bound.
            outstanding = self.ledger.outstanding
            if outstanding >= self.policy.queue_size and (
                outstanding >= len(self.pool) * self.pool.get_worker_concurrency()
            ):
                return False
        return self.budget.has_room(self.name) or self.budget.make_room(self.name)

    # -- answers ---------------------------------------------------------------------------------

    def output_received(
        self, worker: str, number: int, payload: Any, now: float, frame_bytes: int = 0
    ) -> None:
        """Book an item as completed, with an output.

        Args:
            worker: the worker that answered.
            number: the item's.
            payload: the output.
            now: s.
            frame_bytes: how much frame memory the worker took for it; 0 if it made no new frame.
        """
        if frame_bytes:
            self.budget.record_output(self.name, frame_bytes)
        self._settle(self.ledger.complete(worker, number, (payload,)), now)

    def no_output_received(self, worker: str, number: int, now: float) -> None:
        """Book an item as completed, without an output.

        Args:
            worker: the worker that answered.
            number: the item's.
            now: s.
        """
        self._settle(self.ledger.complete(worker, number), now)

    def item_returned(self, worker: str, number: int, now: float) -> None:
        """Requeue an item that the worker has not started.

        Args:
            worker: the worker that answered.
            number: the item's.
            now: s.
        """
        self._settle(self.ledger.nack(worker, number), now)

    def item_failed(self, worker: str, number: int, cause: str, now: float) -> None:
        """Count a failed attempt at an item: it is requeued, or quarantined.

        Args:
            worker: the worker that failed, and is still alive.
            number: the item's.
            cause: what the stage raised.
            now: s.
        """
        self._settle(self.ledger.fail(worker, number, cause), now)

    def item_refused(self, worker: str, number: int, now: float) -> None:
        """Remove an item that is not a message of the input's type.

        Args:
            worker: the worker that answered.
            number: the item's.
            now: s.
        """
        self._settle(self.ledger.refuse(worker, number), now)

    def stream_ended(self, worker: str, number: int, now: float) -> None:
        """Remove the tick with which the source has reported its end, and ask it no more.

        Args:
            worker: the worker that answered.
            number: the item's.
            now: s.
        """
        self.source.exhausted = True
        self._record_source()
        self._settle(self.ledger.retract(worker, number), now)

    def answers_received(self) -> None:
        """Assign more items after a worker's answers: once for all that came together.

        Followers have been sent theirs; with none, nothing leaves before this stage's next items.
        """
        if self.followers:
            self.schedule()
        else:
            self.dispatch()

    def _settle(self, settled: Settled, now: float) -> None:
        for key, payload, accepted_at in settled.delivered:
            self.latency.add(now - accepted_at)
            self._emit(actions.PublishOutput(self.name, payload))
            if self.followers:
                # A source's outputs may have stamps of their own.
                stamp = self._stamp_of(payload) if self.policy.is_source else key.stamp
                forwarded = ItemKey(self.routes.out(key), stamp, key.run)
                for follower in self.followers:
                    follower.forward(self.name, forwarded, payload, now)
        if settled.delivered:
            # Not earlier: until all are forwarded, there seems to be more credit than there is.
            for follower in self.followers:
                follower.dispatch()
        for item, cause in settled.quarantined:
            self._emit(actions.QuarantineItem(self.name, item, cause))
        for follower in self.followers:
            if len(follower.upstream) > 1 and follower.policy.overflow is Overflow.BLOCK:
                # An item that left no output behind leaves its credit to the other stages.
                follower._schedule_upstream()

    # -- workers ---------------------------------------------------------------------------------

    def worker_available(self, worker: str) -> None:
        """Add a worker to the pool."""
        self.pool.join(worker)
        self.schedule()

    def worker_unavailable(self, worker: str) -> None:
        """Take a worker out of the pool; it keeps the items that it holds."""
        self.pool.leave(worker)

    def worker_connected(self, worker: str, received: Collection[int], now: float) -> None:
        """Send a worker what it was assigned and has not received, after a new connection.

        Args:
            worker: its name.
            received: the numbers of the items that it has received.
            now: s.
        """
        resend, settled = self.ledger.reconcile(worker, received)
        for item in resend:
            self._emit(actions.SendItem(self.name, worker, item))
        self._settle(settled, now)
        self.schedule()

    def worker_exited(self, worker: str, cause: str, suspect: int | None, now: float) -> None:
        """Requeue the items of a worker that has exited.

        Args:
            worker: its name.
            cause: why it exited.
            suspect: the number of the item it was processing, if that may have been the cause.
            now: s.
        """
        self._settle(self.ledger.release(worker, cause, suspect), now)
        self.schedule()

    # -- settings, and after a crash -------------------------------------------------------------

    def set_policy(self, policy: StagePolicy) -> None:
        """Change the settings. Concurrency is the pool's, changed by ``pool.resize``."""
        self.policy = policy
        self.repeated.capacity = policy.queue_size
        self.ledger.set_policy(**policy.ledger_policy)
        if policy.overflow is Overflow.DROP_OLDEST:  # else the queue shrinks as items are assigned
            while self.ledger.queued > policy.queue_size:
                self.ledger.drop_oldest()
        self.schedule()
        self._schedule_upstream()  # it may have more credit, too

    def resume(self, payloads: Mapping[int, Any], now: float) -> None:
        """Continue after the last change was replayed; dead workers are released after that.

        Args:
            payloads: messages by item number, as kept by workers.
            now: s.
        """
        self.ledger.set_policy(**self.policy.ledger_policy)
        self._settle(self.ledger.resume(payloads), now)
