# SPDX-License-Identifier: Apache-2.0
"""The ledger of a stage: where each item is, its attempts, the finished ones.

Every accepted item ends in exactly one of three ways: completed (answered, with or without an
output), dropped (pushed out of a full queue), or quarantined (tried too often). At every moment

    accepted = queued + in flight + returned + completed + dropped + quarantined

The ledger decides nothing about processes: when a worker has exited, it takes back what the worker
held. It is deterministic: the same calls in the same order lead to the same state. A record of its
calls (``record``) is therefore enough to restore it after a crash (``replay``).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from worker_pipeline.core.item import Item, ItemKey
from worker_pipeline.core.ledger_events import (
    NOTHING,
    Acceptance,
    Counters,
    Delivered,
    Overflow,
    Quarantined,
    Settled,
)
from worker_pipeline.core.ledger_state import LedgerState

__all__ = [
    'NOTHING',
    'Acceptance',
    'Counters',
    'Delivered',
    'Ledger',
    'Overflow',
    'Quarantined',
    'Record',
    'Settled',
]

# Receives the name and the arguments of every call that changed the ledger.
Record = Callable[[str, tuple[Any, ...]], None]


class Ledger(LedgerState):
    """The ledger of one stage. Not thread-safe.

    Args:
        queue_size: how many items may wait.
        overflow: the policy of a full queue.
        max_attempts: after how many failed attempts an item is quarantined.
        ordered: whether outputs leave in the order in which items were first assigned.
        record: receives each call that changes the ledger; none is recorded without.
    """

    def __init__(
        self,
        *,
        queue_size: int,
        overflow: Overflow = Overflow.DROP_OLDEST,
        max_attempts: int = 2,
        ordered: bool = True,
        record: Record | None = None,
    ) -> None:
        super().__init__(
            queue_size=queue_size, overflow=overflow, max_attempts=max_attempts, ordered=ordered
        )
        self._record = record
        self._is_replaying = False
        # Whether payloads may be missing that ``resume`` will supply.
        self._is_incomplete = False

    # -- in ----------------------------------------------------------------------------------

    def accept(
        self, key: ItemKey, payload: Any, now: float, *, capacity: int | None = None
    ) -> tuple[Acceptance, Item | None]:
        """Add an item to the queue.

        Args:
            key: the item's identity.
            payload: the message, opaque to the ledger.
            now: the time of acceptance, s.
            capacity: how many items may wait, this one included; ``queue_size`` if not given.

        Returns:
            The result, and the item that a full queue dropped for it.
        """
        if key in self._unfinished_keys or key in self._finished_keys:
            self.counters.duplicates += 1
            return Acceptance.DUPLICATE, None
        dropped = None
        if len(self._waiting) >= (self.queue_size if capacity is None else capacity):
            if self.overflow is Overflow.DROP_OLDEST:
                dropped = self._drop_oldest()
            elif not self._is_replaying:  # only accepted items are recorded
                self.counters.refused += 1
                return Acceptance.REFUSED, None
        if self._record is not None:
            self._record('accept', (key.source, key.stamp, payload, now, key.run))
        self._unfinished_keys.add(key)
        self._waiting.append(Item(self._next_number, key, payload, now))
        self._next_number += 1
        self.counters.accepted += 1
        return Acceptance.ACCEPTED, dropped

    def flush(self) -> int:
        """Drop all items that were never assigned. Returns how many."""
        count = len(self._waiting)
        if count:
            self._log('flush')
        for item in self._waiting:
            self._finish(item)
        self._waiting.clear()
        self.counters.dropped += count
        return count

    def drop_oldest(self, skip: int = 0) -> bool:
        """Drop the oldest queued item but ``skip`` older ones. Returns whether there was one."""
        if len(self._waiting) <= skip:
            return False
        self._log('drop_oldest', skip)
        self._drop_oldest(skip)
        return True

    # -- to the workers ----------------------------------------------------------------------

    def assign(self, worker: str) -> Item | None:
        """Assign the next item to a worker, returned items first; None if there is none."""
        if self._returned:
            item = self._started[self._returned.pop(0)]
            self.counters.redelivered += 1
        elif self._waiting:
            item = self._waiting.popleft()
            if self.ordered:
                item.sequence = self._order.take_place()
            self._started[item.number] = item
        else:
            return None
        if self._record is not None:
            self._record('assign', (worker,))
        self._held.setdefault(worker, {})[item.number] = None
        return item

    # -- back from the workers ---------------------------------------------------------------

    def complete(self, worker: str, number: int, outputs: Iterable[Any] = ()) -> Settled:
        """Book a worker's answer. The first answer to an item counts; later ones are dropped.

        A worker that was taken for dead may still answer, before the one that has the item now.

        Args:
            worker: the worker that answered.
            number: the item's number.
            outputs: the outputs, in order.
        """
        outputs = tuple(outputs)
        item = self._close('complete', worker, number, outputs)
        if item is None:
            return NOTHING
        self.counters.completed += 1
        return Settled(self._depart(item, outputs), [])

    def retract(self, worker: str, number: int) -> Settled:
        """Remove an item that a source was asked for when it had come to its end."""
        item = self._close('retract', worker, number)
        if item is None:
            return NOTHING
        self.counters.accepted -= 1
        return Settled(self._depart(item, ()), [])

    def refuse(self, worker: str, number: int) -> Settled:
        """Remove an item that is not a message of the input's type."""
        item = self._close('refuse', worker, number)
        if item is None:
            return NOTHING
        self.counters.accepted -= 1
        self.counters.refused += 1
        return Settled(self._depart(item, ()), [])

    def nack(self, worker: str, number: int) -> Settled:
        """Requeue an item that the worker returned without starting it: no attempt is counted."""
        if self._take_from('nack', worker, number) is None:
            return NOTHING
        self._requeue(number)
        return self._drop_unrecoverable()

    def fail(self, worker: str, number: int, cause: str) -> Settled:
        """Count a failed attempt at an item by a worker that is still alive.

        Args:
            worker: the worker that reported the failure.
            number: the item's number.
            cause: why it failed, for the quarantine.
        """
        item = self._take_from('fail', worker, number, cause)
        if item is None:
            return NOTHING
        return self._and_drop_unrecoverable(self._attempted(item, cause))

    def release(self, worker: str, cause: str, suspect: int | None = None) -> Settled:
        """Take back all items of a worker that has exited.

        Args:
            worker: the worker's name.
            cause: why it exited.
            suspect: the number of the item it was processing, which may have been the cause: an
                attempt at it is counted. Items it had merely prefetched are requeued as they are.
        """
        held = self._held.pop(worker, None)
        if held is None:
            return NOTHING
        self._log('release', worker, cause, suspect)
        settled = NOTHING
        for number in held:
            item = self._started.get(number)
            if item is None:
                continue  # another worker has finished it
            if number == suspect:
                item.suspects += (worker,)
                settled = self._attempted(item, cause)
            else:
                self._requeue(number)
        return self._and_drop_unrecoverable(settled)

    def reconcile(self, worker: str, received: Collection[int]) -> tuple[list[Item], Settled]:
        """Compare a worker's received items with its assigned ones.

        Returns:
            The items to send to it again, and the results of those that cannot be sent again.
        """
        missing = [number for number in self._held.get(worker, ()) if number not in received]
        gone = [n for n in missing if n not in self._started or self._started[n].payload is None]
        self.mark_undelivered(worker, gone)
        held = self._held.get(worker, {})
        resend = [self._started[number] for number in missing if number in held]
        return resend, self._drop_unrecoverable()

    def mark_undelivered(self, worker: str, numbers: Iterable[int]) -> None:
        """Requeue items that have not reached the worker and will not."""
        held = self._held.get(worker, {})
        numbers = tuple(each for each in dict.fromkeys(numbers) if each in held)
        if numbers:
            self._log('mark_undelivered', worker, numbers)
        for number in numbers:
            self._free(worker, number)
            if number in self._started:
                self._requeue(number)

    def drop(self, numbers: Iterable[int]) -> Settled:
        """Drop returned items, by number, as far as they still are."""
        numbers = tuple(each for each in dict.fromkeys(numbers) if each in self._returned)
        if not numbers:
            return NOTHING
        self._log('drop', numbers)
        delivered: list[Delivered] = []
        for number in numbers:
            self._returned.remove(number)
            self.counters.dropped += 1
            item = self._started.pop(number)
            self._finish(item)
            delivered += self._depart(item, ())
        return Settled(delivered, [])

    def set_policy(
        self, *, queue_size: int, overflow: Overflow, max_attempts: int, ordered: bool
    ) -> None:
        """Change the policy for all that follows, as ``LedgerState.set_policy``; recorded."""
        before = self.policy
        super().set_policy(
            queue_size=queue_size, overflow=overflow, max_attempts=max_attempts, ordered=ordered
        )
        if self.policy != before:
            self._log('set_policy', *self.policy)

    # -- after a crash of the process that kept the ledger ---------------------------------------

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over the state that ``snapshot`` returned; ``resume`` has to follow."""
        super().restore(state)
        self._is_incomplete = True

    def replay(self, name: str, arguments: tuple[Any, ...]) -> Settled:
        """Repeat a recorded call; ``resume`` has to follow. Returns what it settled back then."""
        record, self._record = self._record, None  # it is in the record already
        self._is_replaying = self._is_incomplete = True
        try:
            result = self._repeat(name, arguments)
        finally:
            self._record, self._is_replaying = record, False
        return result if isinstance(result, Settled) else NOTHING

    def _repeat(self, name: str, arguments: tuple[Any, ...]) -> object:
        if name == 'accept':
            source, stamp, payload, now, *run = arguments
            return self.accept(ItemKey(source, stamp, *run), payload, now)
        if name != 'set_policy':
            return getattr(self, name)(*arguments)
        self.restore_policy(arguments)
        return None

    def resume(self, payloads: Mapping[int, Any]) -> Settled:
        """Continue with a restored ledger, as far as the messages themselves still exist.

        ``payloads``: messages by number, for items recorded without one. Items that no
        worker holds and whose message is gone are dropped; a worker that is alive will still
        answer for its own. Nothing of this is recorded: a new snapshot has to follow. Workers that
        died meanwhile are released after it, as before it there are outputs without a message.
        """
        self._is_incomplete = False
        self._supply(payloads)
        lost = [item for item in self._waiting if item.payload is None]
        for item in lost:
            self._finish(item)
        self._waiting = deque(item for item in self._waiting if item.payload is not None)
        self.counters.dropped += len(lost)
        self._order.discard(lambda delivered: delivered.payload is None)
        record, self._record = self._record, None
        try:
            return self._drop_unrecoverable()
        finally:
            self._record = record

    # -- within ------------------------------------------------------------------------------

    def _log(self, name: str, *arguments: Any) -> None:
        if self._record is not None:
            self._record(name, arguments)

    def _drop_oldest(self, skip: int = 0) -> Item:
        oldest = self._waiting[skip]
        del self._waiting[skip]
        self._finish(oldest)
        self.counters.dropped += 1
        return oldest

    def _take_from(self, call: str, worker: str, number: int, *rest: Any) -> Item | None:
        """Take an item from a worker; return it if it is not finished."""
        if number not in self._held.get(worker, ()):
            return None
        self._log(call, worker, number, *rest)
        self._free(worker, number)
        return self._started.get(number)

    def _close(self, call: str, worker: str, number: int, *rest: Any) -> Item | None:
        """Finish an item in any state; return None if it was finished before."""
        holds = number in self._held.get(worker, ())
        if self._record is not None and (holds or number in self._started):
            self._record(call, (worker, number, *rest))
        if holds:
            self._free(worker, number)
        item = self._started.pop(number, None)
        if item is None:
            self.counters.duplicate_answers += 1
            return None
        if number in self._returned:
            self._returned.remove(number)
        self._finish(item)
        return item

    def _attempted(self, item: Item, cause: str) -> Settled:
        item.attempts += 1
        if item.attempts < self.max_attempts:
            self._requeue(item.number)
            return NOTHING
        del self._started[item.number]
        self._finish(item)
        self.counters.quarantined += 1
        return Settled(self._depart(item, ()), [Quarantined(item, cause)])

    def _drop_unrecoverable(self) -> Settled:
        """Drop returned items without a message.

        Not between a restart and ``resume``: messages that are missing then may still be supplied,
        and items that were dropped before the restart are in the record.
        """
        if self._is_incomplete or not self._returned:
            return NOTHING
        lost = [number for number in self._returned if self._started[number].payload is None]
        return self.drop(lost) if lost else NOTHING

    def _and_drop_unrecoverable(self, settled: Settled) -> Settled:
        dropped = self._drop_unrecoverable()
        if dropped is NOTHING:
            return settled
        return Settled(
            settled.delivered + dropped.delivered, settled.quarantined + dropped.quarantined
        )

    def _depart(self, item: Item, outputs: Iterable[Any]) -> list[Delivered]:
        facts = [Delivered(item.key, output, item.accepted_at) for output in outputs]
        if item.sequence is not None:
            facts = self._order.finish(item.sequence, facts)
        self.counters.delivered += len(facts)
        return facts
