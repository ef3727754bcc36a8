"""A stage's book of who holds which item, how often it was tried, and what is finished.

Every accepted item ends in exactly one of three ways: completed (answered, with or without an
output), dropped (pushed out of a full queue), or quarantined (tried too often). At every moment

    accepted = waiting + in work + to be redelivered + completed + dropped + quarantined

The ledger decides nothing about processes: it is told that a worker is gone, and takes back what
that worker held. It is deterministic: the same calls in the same order lead to the same book. So
whoever wrote down its calls (``record``) can make it anew after a crash (``replay``).
"""

from __future__ import annotations

import contextlib
import enum
from bisect import insort
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
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

# Told the name and the arguments of every call that changed the book.
Record = Callable[[str, tuple[Any, ...]], None]


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
        self.refused = 0  # offered to a full queue that may not drop, or no message at all


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
        record: Record | None = None,
    ) -> None:
        self.queue_size = queue_size
        self.overflow = overflow
        self.max_attempts = max_attempts
        self.ordered = ordered
        self.counters = Counters()
        self._record = record
        self._next_number = 1
        self._waiting: deque[Item] = deque()
        self._returned: list[int] = []  # numbers to be redelivered: the oldest first
        # What each worker holds, oldest first: also what another one's answer has finished, as
        # long as it has not answered itself. Who holds nothing is not in it.
        self._held: dict[str, dict[int, None]] = {}
        # Items given to a worker at least once and not finished.
        self._open: dict[int, Item] = {}
        # What waits or is open, and what was finished last, the oldest first.
        self._here: set[ItemKey] = set()
        self._known: OrderedDict[ItemKey, None] = OrderedDict()
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
    def begun(self) -> int:
        """Items that were given to a worker and are not finished."""
        return len(self._open)

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
    def unfinished(self) -> int:
        """Items that are here: they wait, are in work, or are withheld."""
        return len(self._waiting) + self.outstanding

    @property
    def empty(self) -> bool:
        """Nothing waits, nothing is in work, nothing is withheld."""
        return not (self._waiting or self._open or self._order.held)

    @property
    def last_number(self) -> int:
        """The number of the item that was accepted last; 0 before any."""
        return self._next_number - 1

    def have_left(self, last: int) -> bool:
        """Whether all items up to this number have left the stage, in whatever way."""
        # Both are in the order of their numbers; what is withheld waits for one that is open.
        oldest_open = next(iter(self._open), last + 1)
        return oldest_open > last and not (self._waiting and self._waiting[0].number <= last)

    @property
    def workers(self) -> list[str]:
        """Those who hold something."""
        return list(self._held)

    def held_by(self, worker: str) -> int:
        """How many items a worker holds."""
        held = self._held.get(worker)
        return len(held) if held else 0

    def is_held(self, worker: str, number: int) -> bool:
        """Whether a worker holds this item, and it is not done."""
        return number in self._held.get(worker, ()) and number in self._open

    def knows(self, key: ItemKey) -> bool:
        """Whether this item was accepted before (as far back as is remembered)."""
        return key in self._here or key in self._known

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
            self._finish(pushed_out)
            self.counters.dropped += 1
        self._log('accept', *key, payload, now)
        self._here.add(key)
        self._waiting.append(Item(self._next_number, key, payload, now))
        self._next_number += 1
        self.counters.accepted += 1
        return Acceptance.ACCEPTED, pushed_out

    def flush(self) -> int:
        """Drop what waits and was never given to a worker. Returns how many items that were."""
        count = len(self._waiting)
        if count:
            self._log('flush')
        for item in self._waiting:
            self._finish(item)
        self._waiting.clear()
        self.counters.dropped += count
        return count

    def drop_oldest(self) -> bool:
        """Drop the oldest item that waits, to make room; whether there was one."""
        if not self._waiting:
            return False
        self._log('drop_oldest')
        self._finish(self._waiting.popleft())
        self.counters.dropped += 1
        return True

    # -- to the workers ----------------------------------------------------------------------

    def assign(self, worker: str, *, fresh: bool = True) -> Item | None:
        """Give the next item to a worker, redeliveries first; None when there is none to give.

        ``fresh=False`` gives redeliveries only: their outputs are already reckoned with
        downstream, so they may go on where new items may not.
        """
        if self._returned:
            item = self._open[self._returned.pop(0)]
            self.counters.redelivered += 1
        elif fresh and self._waiting:
            item = self._waiting.popleft()
            if self.ordered:
                item.place = self._order.take_place()
            self._open[item.number] = item
        else:
            return None
        self._log('assign', worker)
        self._held.setdefault(worker, {})[item.number] = None
        return item

    # -- back from the workers ---------------------------------------------------------------

    def complete(self, worker: str, number: int, outputs: Iterable[Any] = ()) -> Settled:
        """A worker answered. The first answer to an item counts; later ones are dropped.

        The answer of a worker that was given up may still come: it is as good as any other, and
        whoever was given the item since answers a second time, which is then dropped.
        """
        outputs = tuple(outputs)
        item = self._close('complete', worker, number, outputs)
        if item is None:
            return NOTHING
        self.counters.completed += 1
        return Settled(self._depart(item, outputs), [])

    def retract(self, worker: str, number: int) -> Settled:
        """The item never was one: a source that was asked for it had come to its end."""
        item = self._close('retract', worker, number)
        if item is None:
            return NOTHING
        self.counters.accepted -= 1
        return Settled(self._depart(item, ()), [])

    def refuse(self, worker: str, number: int) -> Settled:
        """The item never was one: its bytes are not the message they should be."""
        item = self._close('refuse', worker, number)
        if item is None:
            return NOTHING
        self.counters.accepted -= 1
        self.counters.refused += 1
        return Settled(self._depart(item, ()), [])

    def give_back(self, worker: str, number: int) -> None:
        """A worker hands an item back that it never began: no attempt is counted."""
        if self._take_from('give_back', worker, number) is not None:
            self._return(number)

    def fail(self, worker: str, number: int, cause: str) -> Settled:
        """A worker lived on but could not do the item: one attempt is used up."""
        item = self._take_from('fail', worker, number, cause)
        if item is None:
            return NOTHING
        return self._attempted(item, cause)

    def release(self, worker: str, cause: str, in_work: int | None = None) -> Settled:
        """A worker is gone: take back all it held.

        Only the item ``in_work`` (its number) is suspected of having been the cause; those merely
        prefetched go to others without a mark.
        """
        held = self._held.pop(worker, None)
        if held is None:
            return NOTHING
        self._log('release', worker, cause, in_work)
        settled = NOTHING
        for number in held:
            item = self._open.get(number)
            if item is None:
                continue  # another one has done it
            if number == in_work:
                item.blamed_for += (worker,)
                settled = self._attempted(item, cause)
            else:
                self._return(number)
        return settled

    # -- after a crash of whoever kept the book ----------------------------------------------

    def replay(self, name: str, arguments: tuple[Any, ...]) -> Settled:
        """Make a recorded call again, unrecorded; what it settles was settled then."""
        with self._unrecorded():
            if name == 'accept':
                source, stamp, payload, now = arguments
                self.accept(ItemKey(source, stamp), payload, now)
            else:
                result = getattr(self, name)(*arguments)
                if isinstance(result, Settled):
                    return result
        return NOTHING

    def resume(self, payloads: Mapping[int, Any]) -> Settled:
        """Go on with a book that was made anew, as far as the items themselves are still there.

        ``payloads``: by number, for items whose own is None as it was not written down. What no
        worker holds and nobody has is dropped; a worker that lives will still answer for its own.

        Nothing of this is recorded: a new snapshot has to follow.
        """
        for item in (*self._open.values(), *self._waiting):
            if item.payload is None:
                item.payload = payloads.get(item.number)
        lost = [item for item in self._waiting if item.payload is None]
        for item in lost:
            self._finish(item)
        self._waiting = deque(item for item in self._waiting if item.payload is not None)
        self.counters.dropped += len(lost)
        self._order.discard(lambda delivered: delivered.payload is None)
        with self._unrecorded():
            return self.drop_the_lost()

    def drop_the_lost(self) -> Settled:
        """Drop what is to be given out again and cannot be, as nobody has it any more."""
        lost = [number for number in self._returned if self._open[number].payload is None]
        return self.drop(lost)

    def drop(self, numbers: Iterable[int]) -> Settled:
        """Drop items that are to be given out again, as far as they still are."""
        numbers = tuple(each for each in dict.fromkeys(numbers) if each in self._returned)
        if not numbers:
            return NOTHING
        self._log('drop', numbers)
        delivered: list[Delivered] = []
        for number in numbers:
            self._returned.remove(number)
            self.counters.dropped += 1
            delivered += self._depart(self._shut(number), ())
        return Settled(delivered, [])

    def reconcile(self, worker: str, has: Collection[int]) -> list[Item]:
        """A worker told which items have reached it: those to be sent to it once more."""
        missing = [number for number in self._held.get(worker, ()) if number not in has]
        self.forget(
            worker,
            [
                each
                for each in missing
                if each not in self._open or self._open[each].payload is None
            ],
        )
        held = self._held.get(worker, {})
        return [self._open[number] for number in missing if number in held]

    def forget(self, worker: str, numbers: Iterable[int]) -> None:
        """These have not reached the worker, and will not: what is not done yet goes to others."""
        held = self._held.get(worker, {})
        numbers = tuple(each for each in dict.fromkeys(numbers) if each in held)
        if numbers:
            self._log('forget', worker, numbers)
        for number in numbers:
            self._free(worker, number)
            if number in self._open:
                self._return(number)

    def snapshot(self, *, payloads: bool) -> dict[str, Any]:
        """The whole book as plain values; ``payloads``: with the items themselves."""

        def plain(item: Item) -> tuple[Any, ...]:
            payload = item.payload if payloads else None
            return (
                item.number,
                tuple(item.key),
                payload,
                item.accepted_at,
                item.attempts,
                item.place,
                item.blamed_for,
            )

        def fact(delivered: Delivered) -> tuple[Any, ...]:
            payload = delivered.payload if payloads else None
            return tuple(delivered.key), payload, delivered.accepted_at

        return {
            'rules': (self.queue_size, self.overflow.value, self.max_attempts, self.ordered),
            'next_number': self._next_number,
            'waiting': [plain(item) for item in self._waiting],
            'open': [plain(item) for item in self._open.values()],
            'returned': list(self._returned),
            'held': {worker: list(held) for worker, held in self._held.items()},
            'known': [tuple(key) for key in self._known],
            'order': self._order.snapshot(fact),
            'counters': {name: getattr(self.counters, name) for name in Counters.__slots__},
        }

    def restore(self, book: Mapping[str, Any]) -> None:
        """Take over a book that ``snapshot`` gave, and the rules it was kept by.

        Calls recorded after it are to be replayed by those rules; ``keep_by`` then sets others.
        """

        def item(plain: tuple[Any, ...]) -> Item:
            number, key, *rest = plain
            return Item(number, ItemKey(*key), *rest)

        def fact(plain: tuple[Any, ...]) -> Delivered:
            key, payload, accepted_at = plain
            return Delivered(ItemKey(*key), payload, accepted_at)

        self.queue_size, overflow, self.max_attempts, self.ordered = book['rules']
        self.overflow = Overflow(overflow)
        self._next_number = book['next_number']
        self._waiting = deque(item(each) for each in book['waiting'])
        self._open = {each[0]: item(each) for each in book['open']}
        self._here = {item.key for item in (*self._waiting, *self._open.values())}
        self._returned = list(book['returned'])
        self._held = {worker: dict.fromkeys(held) for worker, held in book['held'].items()}
        self._known = OrderedDict((ItemKey(*key), None) for key in book['known'])
        self._order.restore(book['order'], fact)
        for name, value in book['counters'].items():
            setattr(self.counters, name, value)

    def keep_by(
        self, *, queue_size: int, overflow: Overflow, max_attempts: int, ordered: bool
    ) -> None:
        """Change the rules for what comes from now on."""
        self.queue_size = queue_size
        self.overflow = overflow
        self.max_attempts = max_attempts
        self.ordered = ordered

    # -- within ------------------------------------------------------------------------------

    def _log(self, name: str, *arguments: Any) -> None:
        if self._record is not None:
            self._record(name, arguments)

    @contextlib.contextmanager
    def _unrecorded(self) -> Iterator[None]:
        record, self._record = self._record, None
        try:
            yield
        finally:
            self._record = record

    def _finish(self, item: Item) -> None:
        """It is not here any more, and remembered."""
        self._here.discard(item.key)
        self._known[item.key] = None
        if len(self._known) > self.REMEMBERED:
            self._known.popitem(last=False)

    def _take_from(self, call: str, worker: str, number: int, *rest: Any) -> Item | None:
        """Free the worker of the item; the item if it is still open."""
        if number not in self._held.get(worker, ()):
            return None
        self._log(call, worker, number, *rest)
        self._free(worker, number)
        return self._open.get(number)

    def _close(self, call: str, worker: str, number: int, *rest: Any) -> Item | None:
        """Free the worker of the item and finish it, wherever it is now; None if it is finished."""
        holds = number in self._held.get(worker, ())
        if holds or number in self._open:
            self._log(call, worker, number, *rest)
        if holds:
            self._free(worker, number)
        if number not in self._open:
            self.counters.duplicate_answers += 1
            return None
        if number in self._returned:
            self._returned.remove(number)
        return self._shut(number)

    def _free(self, worker: str, number: int) -> None:
        held = self._held[worker]
        del held[number]
        if not held:
            del self._held[worker]

    def _shut(self, number: int) -> Item:
        item = self._open.pop(number)
        self._finish(item)
        return item

    def _attempted(self, item: Item, cause: str) -> Settled:
        item.attempts += 1
        if item.attempts < self.max_attempts:
            self._return(item.number)
            return NOTHING
        self._shut(item.number)
        self.counters.quarantined += 1
        return Settled(self._depart(item, ()), [Quarantined(item, cause)])

    def _return(self, number: int) -> None:
        # Few at a time: at most what the workers of the stage held.
        if number not in self._returned:
            insort(self._returned, number)

    def _depart(self, item: Item, outputs: Iterable[Any]) -> list[Delivered]:
        facts = [Delivered(item.key, output, item.accepted_at) for output in outputs]
        if item.place is not None:
            facts = self._order.finish(item.place, facts)
        self.counters.delivered += len(facts)
        return facts
