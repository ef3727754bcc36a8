# SPDX-License-Identifier: Apache-2.0
"""The state of a ledger: its items by location, its counters, and all of it as plain values."""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from worker_pipeline.core.dedup_window import DedupWindow
from worker_pipeline.core.item import Item, ItemKey
from worker_pipeline.core.ledger_events import Counters, Delivered, Overflow
from worker_pipeline.core.resequencing import Resequencer


class LedgerState:
    """The items of one stage, and where each of them is.

    Every accepted item is in exactly one place: it waits in the queue, it is started (assigned to
    a worker, or returned by one and to be assigned again), or it is finished.

    Args:
        queue_size: how many items may wait.
        overflow: the policy of a full queue.
        max_attempts: after how many failed attempts an item is quarantined.
        ordered: whether outputs leave in the order in which items were first assigned.
    """

    # How many finished keys are kept, to recognise a late duplicate.
    DEDUP_WINDOW = 4096
    # More than the items of which the records may be missing.
    SKIPPED_NUMBERS = 1 << 32

    def __init__(
        self,
        *,
        queue_size: int,
        overflow: Overflow = Overflow.DROP_OLDEST,
        max_attempts: int = 2,
        ordered: bool = True,
    ) -> None:
        self.queue_size = queue_size
        self.overflow = overflow
        self.max_attempts = max_attempts
        self.ordered = ordered
        self.counters = Counters()
        self._next_number = 1
        self._waiting: deque[Item] = deque()
        self._returned: list[int] = []  # numbers to be assigned again: the oldest first
        # The items of each worker, the oldest first. An item that another worker's answer has
        # finished stays here until this worker answers too. Idle workers have no entry.
        self._held: dict[str, dict[int, None]] = {}
        # Started items: assigned at least once and not finished.
        self._started: dict[int, Item] = {}
        # Numbers of those that had no message after a restart; finished ones may be among them.
        self._without_message: set[int] = set()
        # Keys of unfinished items; and the dedup window of finished ones, the oldest first.
        self._unfinished_keys: set[ItemKey] = set()
        self._finished_keys = DedupWindow(self.DEDUP_WINDOW)
        self._order: Resequencer[Delivered] = Resequencer()

    @property
    def lacks_messages(self) -> bool:
        """Return whether there are items or outputs without their message, as after a restart."""
        items = (*self._started.values(), *self._waiting)
        payloads = (
            *(item.payload for item in items),
            *(out.payload for out in self._order.held_back),
        )
        return any(each is None for each in payloads)

    # -- counts ------------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """Return how many items wait for a worker, returned ones included."""
        return len(self._waiting) + len(self._returned)

    @property
    def queued(self) -> int:
        """Return how many items wait that no worker has had yet."""
        return len(self._waiting)

    @property
    def returned(self) -> int:
        """Return how many items wait to be assigned again."""
        return len(self._returned)

    @property
    def in_flight(self) -> int:
        """Return how many items workers hold."""
        return len(self._started) - len(self._returned)

    @property
    def started(self) -> int:
        """Return how many items were assigned and are not finished."""
        return len(self._started)

    @property
    def started_without_message(self) -> int:
        """Return how many started items have no message: it was in no journal.

        Workers have answered them, as a rule, and have not repeated the answers yet.
        """
        if self._without_message:  # only shortly after a restart; asked for every item
            self._without_message &= self._started.keys()
        return len(self._without_message)

    @property
    def awaiting_order(self) -> int:
        """Return how many finished items wait for an earlier one, to leave in order."""
        return self._order.held

    @property
    def outstanding(self) -> int:
        """Return how many outputs may still come: started items and those awaiting order."""
        return len(self._started) + self._order.held

    @property
    def free(self) -> int:
        """Return how many more items the queue has room for."""
        return max(0, self.queue_size - len(self._waiting))

    @property
    def unfinished(self) -> int:
        """Return how many items are in the stage: waiting, started, or awaiting order."""
        return len(self._waiting) + self.outstanding

    @property
    def empty(self) -> bool:
        """Return whether no item is in the stage."""
        return not (self._waiting or self._started or self._order.held)

    @property
    def last_number(self) -> int:
        """Return the number of the item accepted last; 0 before any."""
        return self._next_number - 1

    def skip_numbers(self) -> None:
        """Leave out numbers that may have been given to items of which nothing is known."""
        self._next_number += self.SKIPPED_NUMBERS

    # -- questions ---------------------------------------------------------------------------

    def departed_through(self, last: int) -> bool:
        """Return whether all items up to number ``last`` have left the stage, however."""
        # Both are in the order of their numbers; results wait for a started item.
        oldest_started = next(iter(self._started), last + 1)
        return oldest_started > last and not (self._waiting and self._waiting[0].number <= last)

    @property
    def workers(self) -> list[str]:
        """Return the names of the workers that hold something."""
        return list(self._held)

    def held_by(self, worker: str) -> int:
        """Return how many items a worker holds."""
        held = self._held.get(worker)
        return len(held) if held else 0

    def is_held(self, worker: str, number: int) -> bool:
        """Return whether a worker holds this item and it is not finished."""
        return number in self._held.get(worker, ()) and number in self._started

    @property
    def queued_payloads(self) -> Iterator[Any]:
        """Yield the messages of the items that wait and that no worker has had, in order."""
        return (item.payload for item in self._waiting)

    @property
    def other_payloads(self) -> Iterator[Any]:
        """Yield the messages of started items, and the outputs that await their order."""
        yield from (item.payload for item in self._started.values())
        yield from (delivered.payload for delivered in self._order.results)

    def knows(self, key: ItemKey) -> bool:
        """Return whether this item was accepted before, as far back as the dedup window goes."""
        return key in self._unfinished_keys or key in self._finished_keys

    # -- moves -------------------------------------------------------------------------------

    def _supply(self, payloads: Mapping[int, Any]) -> None:
        """Give items without a message theirs, by number, as far as they still exist."""
        for item in (*self._started.values(), *self._waiting):
            if item.payload is None:
                item.payload = payloads.get(item.number)
        self._without_message = {n for n, item in self._started.items() if item.payload is None}

    def _finish(self, item: Item) -> None:
        """Move an item's key into the dedup window."""
        self._unfinished_keys.discard(item.key)
        self._finished_keys.add(item.key)

    def _free(self, worker: str, number: int) -> None:
        held = self._held[worker]
        del held[number]
        if not held:
            del self._held[worker]

    def _requeue(self, number: int) -> None:
        # Few at a time: at most the items that the workers of the stage held.
        if number not in self._returned:
            insort(self._returned, number)

    # -- as plain values ---------------------------------------------------------------------

    def snapshot(self, *, payloads: bool) -> dict[str, Any]:
        """Return the whole state as plain values.

        ``payloads``: whether the messages themselves are included.
        """

        def plain(item: Item) -> tuple[Any, ...]:
            payload = item.payload if payloads else None
            return (
                item.number,
                tuple(item.key),
                payload,
                item.accepted_at,
                item.attempts,
                item.sequence,
                item.suspects,
            )

        def fact(delivered: Delivered) -> tuple[Any, ...]:
            payload = delivered.payload if payloads else None
            return tuple(delivered.key), payload, delivered.accepted_at

        return {
            'policy': self.policy,
            'next_number': self._next_number,
            'waiting': [plain(item) for item in self._waiting],
            'started': [plain(item) for item in self._started.values()],
            'returned': list(self._returned),
            'held': {worker: list(held) for worker, held in self._held.items()},
            'finished_keys': self._finished_keys.snapshot(),
            'order': self._order.snapshot(fact),
            'counters': {name: getattr(self.counters, name) for name in Counters.__slots__},
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over the state that ``snapshot`` returned, and the policy it was kept under.

        Calls recorded after the snapshot must be replayed under that policy; set another with
        ``set_policy`` after that.
        """

        def item(plain: tuple[Any, ...]) -> Item:
            number, key, *rest = plain
            return Item(number, ItemKey(*key), *rest)

        def fact(plain: tuple[Any, ...]) -> Delivered:
            key, payload, accepted_at = plain
            return Delivered(ItemKey(*key), payload, accepted_at)

        self.restore_policy(state['policy'])
        self._next_number = state['next_number']
        self._waiting = deque(item(each) for each in state['waiting'])
        self._started = {each[0]: item(each) for each in state['started']}
        self._unfinished_keys = {item.key for item in (*self._waiting, *self._started.values())}
        self._returned = list(state['returned'])
        self._held = {worker: dict.fromkeys(held) for worker, held in state['held'].items()}
        self._finished_keys = DedupWindow(self.DEDUP_WINDOW)
        self._finished_keys.restore(state['finished_keys'])
        self._order.restore(state['order'], fact)
        for name, value in state['counters'].items():
            setattr(self.counters, name, value)

    @property
    def policy(self) -> tuple[int, str, int, bool]:
        """Return the policy as plain values, in the order of ``set_policy``."""
        return self.queue_size, self.overflow.value, self.max_attempts, self.ordered

    def restore_policy(self, policy: tuple[Any, ...]) -> None:
        """Set the policy from plain values, as ``policy`` returns it."""
        self.queue_size, overflow, self.max_attempts, self.ordered = policy
        self.overflow = Overflow(overflow)

    def set_policy(
        self, *, queue_size: int, overflow: Overflow, max_attempts: int, ordered: bool
    ) -> None:
        """Change the policy for all that follows.

        Args:
            queue_size: how many items may wait.
            overflow: the policy of a full queue.
            max_attempts: after how many failed attempts an item is quarantined.
            ordered: whether outputs leave in the order in which items were first assigned.
        """
        self.queue_size = queue_size
        self.overflow = overflow
        self.max_attempts = max_attempts
        self.ordered = ordered
