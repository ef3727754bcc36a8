# SPDX-License-Identifier: Apache-2.0
"""The dedup window: the keys of the last finished items, in little memory.

A set of keys takes 200 bytes for each. At five items a second it takes a quarter of an hour to
fill, and until then a manager of seven stages would grow by some megabytes. The stamps of an
input mostly come in ascending order, so sorted arrays of numbers are as fast, at 18 bytes each.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from typing import TypeAlias

from worker_pipeline.core.item import ItemKey

# So many forgotten stamps stay at the front of an array, as moving all others takes longer than the
# rest of adding one.
_FORGOTTEN = 512
# Of the numbers in an array: eight bytes with a sign, as a stamp in nanoseconds needs.
_STAMPS, _STREAMS = 'q', 'L'
# The streams by their numbers; the number of each key's stream; its stamp.
Snapshot: TypeAlias = tuple[list[tuple[int, tuple[str, int]]], bytes, bytes]


class _Stream:
    """The stamps of one input and one run, sorted for the search."""

    __slots__ = ('first', 'key', 'number', 'stamps')

    def __init__(self, key: tuple[str, int], number: int) -> None:
        self.key = key
        self.number = number
        self.stamps = array(_STAMPS)
        self.first = 0  # the place of the first one that is not forgotten

    def forget(self, stamp: int) -> bool:
        """Remove a stamp; return whether any is left."""
        stamps = self.stamps
        if stamps[self.first] != stamp:
            del stamps[bisect_left(stamps, stamp, self.first)]
        else:
            self.first += 1
            if self.first == _FORGOTTEN:
                del stamps[:_FORGOTTEN]
                self.first = 0
        return self.first < len(stamps)


class DedupWindow:
    """The ``capacity`` keys that were added last.

    The keys of one input and one run are a *stream*. For each there is an array of its stamps. Two
    rings of the window's size have all keys in the order of their arrival, for what leaves next.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._stamps = array(_STAMPS, bytes(8 * capacity))
        self._stream_of = array(_STREAMS, bytes(array(_STREAMS).itemsize * capacity))
        self._oldest = 0  # its place in both rings
        self._count = 0
        self._streams: dict[tuple[str, int], _Stream] = {}
        self._by_number: dict[int, _Stream] = {}

    def __len__(self) -> int:
        return self._count

    def __contains__(self, key: ItemKey) -> bool:
        source, stamp, run = key
        stream = self._streams.get((source, run))
        # Most items are newer than all before: then there is nothing to search.
        if stream is None or stamp > stream.stamps[-1]:
            return False
        return stream.stamps[bisect_left(stream.stamps, stamp, stream.first)] == stamp

    def __iter__(self) -> Iterator[ItemKey]:
        """Yield the keys, the oldest first."""
        for place in range(self._oldest, self._oldest + self._count):
            at = place % self._capacity
            source, run = self._by_number[self._stream_of[at]].key
            yield ItemKey(source, self._stamps[at], run)

    def snapshot(self) -> Snapshot:
        """Return all keys as plain values: three, not one for each key.

        A list of tuples took 0.5 MB for a moment, which a heap does not give back.
        """
        return (
            [(number, stream.key) for number, stream in self._by_number.items()],
            self._in_order(self._stream_of),
            self._in_order(self._stamps),
        )

    def _in_order(self, ring: array[int]) -> bytes:
        """Return what a ring has, the oldest first."""
        end = self._oldest + self._count
        beyond = max(0, end - len(ring))
        return ring[self._oldest : end].tobytes() + ring[:beyond].tobytes()

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot of another window, into an empty one: the next one is the same.

        Not one key after the other: workers wait for it after a restart.
        """
        assert not self._count, 'the window is empty'
        streams, stream_of, stamps = snapshot
        for number, key in streams:
            self._open(key, number)
        numbers = array(_STREAMS, stream_of)[-self._capacity :]
        values = array(_STAMPS, stamps)[-self._capacity :]
        self._count = len(values)
        self._stream_of[: self._count], self._stamps[: self._count] = numbers, values
        for number, stamp in zip(numbers, values, strict=True):
            self._by_number[number].stamps.append(stamp)
        for stream in list(self._by_number.values()):
            stream.stamps = array(_STAMPS, sorted(stream.stamps))
            if not stream.stamps:  # this window is smaller
                self._close(stream)

    def add(self, key: ItemKey) -> None:
        """Add a key that is not there; a full window forgets its oldest one."""
        if self._count == self._capacity:
            self._forget_oldest()
        source, stamp, run = key
        stream = self._streams.get((source, run))
        if stream is None:
            numbers = range(len(self._streams) + 1)
            free = next(each for each in numbers if each not in self._by_number)
            stream = self._open((source, run), free)
        stamps = stream.stamps
        if not stamps or stamp > stamps[-1]:
            stamps.append(stamp)
        else:
            stamps.insert(bisect_left(stamps, stamp, stream.first), stamp)
        at = (self._oldest + self._count) % self._capacity
        self._stamps[at], self._stream_of[at] = stamp, stream.number
        self._count += 1

    def _open(self, key: tuple[str, int], number: int) -> _Stream:
        stream = self._streams[key] = self._by_number[number] = _Stream(key, number)
        return stream

    def _close(self, stream: _Stream) -> None:
        del self._streams[stream.key], self._by_number[stream.number]

    def _forget_oldest(self) -> None:
        stream = self._by_number[self._stream_of[self._oldest]]
        if not stream.forget(self._stamps[self._oldest]):
            self._close(stream)
        self._oldest = (self._oldest + 1) % self._capacity
        self._count -= 1
