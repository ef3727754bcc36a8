"""A stage's book of who holds which item, how often it was tried, and what is finished.

Every accepted item ends in exactly one of three ways: completed (answered, with or without an
output), dropped (pushed out of a full queue), or quarantined (tried too often). At every moment

    accepted = waiting + in work + to be redelivered + completed + dropped + quarantined

The ledger decides nothing about processes: it is told that a worker is gone, and takes back what
that worker held.
"""

from __future__ import annotations

import enum
from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from worker_pipeline.core.item import Item, ItemKey
from worker_pipeline.core.resequencing import Resequencer


class Overflow(enum.Enum):
    """What a full queue does."""

    DROP_OLDEST = 'drop_oldest'
    BLOCK = 'block'


class Acceptance(enum.Enum):
    """What became of an item that was offered."""

    ACCEPTED = 'accepted'
    DUPLICATE = 'duplicate'
    REFUSED = 'refused'


class Delivered(NamedTuple):
    """Fact: an output may be passed on, now and in this order."""

    key: ItemKey
    payload: Any
    accepted_at: float


class Quarantined(NamedTuple):
    """Fact: an item failed too often and was taken out of the stream."""

    item: Item
    cause: str


class Settled(NamedTuple):
    """What an event made final: outputs to pass on, in order, and items taken out."""

    delivered: list[Delivered]
    quarantined: list[Quarantined]


NOTHING = Settled([], [])


class Counters:
    """Running totals since the stage was created."""

    __slots__ = (
        'accepted',
        'completed',
        'delivered',
        'dropped',
        'duplicate_answers',
        'duplicates',
        'quarantined',
        'redelivered',
        'refused',
    )

    def __init__(self) -> None:
        self.accepted = 0
        self.completed = 0  # answered, with an output or without
        self.delivered = 0  # outputs passed on
        self.dropped = 0
        self.quarantined = 0
        self.redelivered = 0  # given to a worker again after a death or a failure
        self.duplicates = 0  # offered a second time
        self.duplicate_answers = 0  # answered a second time
        self.refused = 0  # offered to a full queue that may not drop


class Ledger:
    """The book of one stage. Not thread-safe: one thread keeps it."""

    # How many finished identities are remembered, to know a late duplicate for what it is.
    REMEMBERED = 4096

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
        self._waiting: deque[Item] = deque()
        self._returned: list[Item] = []  # to be redelivered, by place: the oldest first
        self._held: dict[str, OrderedDict[int, Item]] = {}
        # Items given to a worker at least once and not finished, by stamp. Answers carry only the
        # stamp, so two items of one stamp (from two inputs) are never open at the same time.
        self._open: dict[int, Item] = {}
        self._known: OrderedDict[ItemKey, None] = OrderedDict()
        self._sources: set[str] = set()
        self._order: Resequencer[Delivered] = Resequencer()

    # -- what is where -----------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """Items in the queue, those to be redelivered included."""
        return len(self._waiting) + len(self._returned)

    @property
    def in_flight(self) -> int:
        """Items that some worker holds."""
        return len(self._open) - len(self._returned)

    @property
    def withheld(self) -> int:
        """Finished items that wait for an earlier one, to leave in order."""
        return self._order.held

    @property
    def outstanding(self) -> int:
        """Items that were given to a worker and have not left the stage: outputs still to come."""
        return len(self._open) + self._order.held

    @property
    def free(self) -> int:
        """How many more items the queue has room for."""
        return max(0, self.queue_size - len(self._waiting))

    @property
    def empty(self) -> bool:
        """Nothing waits, nothing is in work, nothing is withheld."""
        return not (self._waiting or self._open or self._order.held)

    def held_by(self, worker: str) -> int:
        """How many items a worker holds."""
        held = self._held.get(worker)
        return len(held) if held else 0

    def in_work(self, worker: str) -> Item | None:
        """The item a worker has in work: workers take theirs first in, first out."""
        held = self._held.get(worker)
        return next(iter(held.values())) if held else None

    def knows(self, key: ItemKey) -> bool:
        """Whether this item was accepted before (as far back as is remembered)."""
        known = self._open.get(key.stamp)
        return key in self._known or (known is not None and known.key == key)

    # -- in ----------------------------------------------------------------------------------

    def accept(self, key: ItemKey, payload: Any, now: float) -> tuple[Acceptance, Item | None]:
        """Book an item. Returns what became of it, and the item it pushed out of the queue."""
        if self.knows(key):
            self.counters.duplicates += 1
            return Acceptance.DUPLICATE, None
        pushed_out = None
        if len(self._waiting) >= self.queue_size:
            if self.overflow is Overflow.BLOCK:
                self.counters.refused += 1
                return Acceptance.REFUSED, None
            pushed_out = self._waiting.popleft()
            self.counters.dropped += 1
        self._remember(key)
        self._waiting.append(Item(key, payload, now))
        self.counters.accepted += 1
        return Acceptance.ACCEPTED, pushed_out

    def flush(self) -> int:
        """Drop what waits and was never given to a worker. Returns how many items that were."""
        count = len(self._waiting)
        self._waiting.clear()
        self.counters.dropped += count
        return count

    # -- to the workers ----------------------------------------------------------------------

    def assign(self, worker: str, *, fresh: bool = True) -> Item | None:
        """Give the next item to a worker, redeliveries first; None when there is none to give.

        ``fresh=False`` gives redeliveries only: their outputs are already reckoned with
        downstream, so they may go on where new items may not.
        """
        # A worker may still be busy with an item that another one's answer has finished. Until it
        # answers, an item of the same stamp (from another input) goes to others: its answers
        # could not be told apart.
        busy_with: Mapping[int, Item] = self._held.get(worker, {})
        first = self._waiting[0].key.stamp if self._waiting else None
        again = next((each for each in self._returned if each.key.stamp not in busy_with), None)
        if again is not None:
            item = again
            self._returned.remove(item)
            self.counters.redelivered += 1
        elif fresh and first is not None and first not in self._open and first not in busy_with:
            item = self._waiting.popleft()
            if self.ordered:
                item.place = self._order.take_place()
            self._open[item.key.stamp] = item
        else:
            return None
        self._held.setdefault(worker, OrderedDict())[item.key.stamp] = item
        return item

    # -- back from the workers ---------------------------------------------------------------

    def complete(self, worker: str, stamp: int, outputs: Iterable[Any] = ()) -> Settled:
        """A worker answered. The first answer to an item counts; later ones are dropped."""
        item = self._close(worker, stamp)
        if item is None:
            self.counters.duplicate_answers += 1
            return NOTHING
        self.counters.completed += 1
        return Settled(self._depart(item, outputs), [])

    def retract(self, worker: str, stamp: int) -> Settled:
        """The item never was one: a source that was asked for it had come to its end."""
        item = self._close(worker, stamp)
        if item is None:
            self.counters.duplicate_answers += 1
            return NOTHING
        self.counters.accepted -= 1
        return Settled(self._depart(item, ()), [])

    def give_back(self, worker: str, stamp: int) -> None:
        """A worker hands an item back that it never began: no attempt is counted."""
        item = self._take_from(worker, stamp)
        if item is not None:
            self._return(item)

    def fail(self, worker: str, stamp: int, cause: str) -> Settled:
        """A worker lived on but could not do the item: one attempt is used up."""
        item = self._take_from(worker, stamp)
        if item is None:
            return NOTHING
        return self._attempted(item, cause)

    def release(self, worker: str, cause: str, *, suspect: bool = True) -> Settled:
        """A worker is gone: take back all it held.

        Only the item that was in work is suspected, and only with ``suspect``; those merely
        prefetched go to others without a mark.
        """
        held = self._held.pop(worker, None)
        if not held:
            return NOTHING
        items = [item for item in held.values() if self._open.get(item.key.stamp) is item]
        settled = NOTHING
        for position, item in enumerate(items):
            if position == 0 and suspect and item is next(iter(held.values())):
                settled = self._attempted(item, cause)
            else:
                self._return(item)
        return settled

    # -- within ------------------------------------------------------------------------------

    def _remember(self, key: ItemKey) -> None:
        self._known[key] = None
        self._sources.add(key.source)
        # What still waits or is in work must stay known, however long the queue.
        if len(self._known) > self.REMEMBERED + len(self._waiting) + len(self._open):
            self._known.popitem(last=False)

    def _take_from(self, worker: str, stamp: int) -> Item | None:
        """Free the worker of the item; the item if it is still open and held nowhere else."""
        held = self._held.get(worker)
        item = held.pop(stamp, None) if held else None
        if item is None or self._open.get(stamp) is not item:
            return None
        return item

    def _close(self, worker: str, stamp: int) -> Item | None:
        """Free the worker of the item and finish it, wherever it is now; None if it is finished.

        The answer of a worker that was given up may still come: it is as good as any other, and
        whoever was given the item since answers a second time, which is then dropped. Where items
        of one stamp come from several inputs such an answer could mean either of them, so it is
        left alone and the item is done again.
        """
        held = self._held.get(worker)
        assigned = held.pop(stamp, None) if held else None
        item = self._open.get(stamp)
        if item is None or (assigned is not item and (assigned or len(self._sources) > 1)):
            return None
        del self._open[stamp]
        if item in self._returned:
            self._returned.remove(item)
        return item

    def _attempted(self, item: Item, cause: str) -> Settled:
        item.attempts += 1
        if item.attempts < self.max_attempts:
            self._return(item)
            return NOTHING
        del self._open[item.key.stamp]
        self.counters.quarantined += 1
        return Settled(self._depart(item, ()), [Quarantined(item, cause)])

    def _return(self, item: Item) -> None:
        if item in self._returned:
            return
        self._returned.append(item)
        if self.ordered:
            # Few at a time: at most what the workers of the stage held.
            self._returned.sort(key=_place)

    def _depart(self, item: Item, outputs: Iterable[Any]) -> list[Delivered]:
        facts = [Delivered(item.key, output, item.accepted_at) for output in outputs]
        if item.place is not None:
            facts = self._order.finish(item.place, facts)
        self.counters.delivered += len(facts)
        return facts


def _place(item: Item) -> int:
    assert item.place is not None, 'only items that were given to a worker are returned'
    return item.place
