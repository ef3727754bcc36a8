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

# Of the numbers in an array: eight bytes with a sign, as a stamp in nanoseconds needs.
_STAMPS, _STREAMS = 'q', 'L'
# The streams by their numbers; the number of each key's stream; its stamp.
Snapshot: TypeAlias = tuple[list[tuple[int, tuple[str, int]]], bytes, bytes]


class DedupWindow:
    """The ``capacity`` keys that were added last.

    The keys of one input and one run are a *stream*. For each there is an array of its stamps,
    sorted for the search. Two rings of the window's size have all keys in the order of their
    arrival, for what leaves next.
    """

    def __init__(self, capacity: int) -> None:
        self._stamps = array(_STAMPS, bytes(8 * capacity))
        self._stream_of = array(_STREAMS, bytes(array(_STREAMS).itemsize * capacity))
        self._oldest = 0  # its place in both rings
        self._count = 0
        self._sorted: dict[tuple[str, int], array[int]] = {}
        self._numbers: dict[tuple[str, int], int] = {}
        self._streams: dict[int, tuple[str, int]] = {}

    def __len__(self) -> int:
        return self._count

    def __contains__(self, key: ItemKey) -> bool:
        stamps = self._sorted.get((key.source, key.run))
        # Most items are newer than all before: then there is nothing to search.
        if stamps is None or key.stamp > stamps[-1]:
            return False
        return stamps[bisect_left(stamps, key.stamp)] == key.stamp

    def __iter__(self) -> Iterator[ItemKey]:
        """Yield the keys, the oldest first."""
        for place in range(self._oldest, self._oldest + self._count):
            at = place % len(self._stamps)
            source, run = self._streams[self._stream_of[at]]
            yield ItemKey(source, self._stamps[at], run)

    def snapshot(self) -> Snapshot:
        """Return all keys as plain values: three, not one for each key.

        A list of tuples took 0.5 MB for a moment, which a heap does not give back.
        """
        return (
            list(self._streams.items()),
            self._in_order(self._stream_of),
            self._in_order(self._stamps),
        )

    def _in_order(self, ring: array[int]) -> bytes:
        """Return what a ring has, the oldest first."""
        end = self._oldest + self._count
        beyond = max(0, end - len(ring))
        return ring[self._oldest : end].tobytes() + ring[:beyond].tobytes()

    def restore(self, snapshot: Snapshot) -> None:
        """Add the keys of a snapshot."""
        streams, stream_of, stamps = snapshot
        names = dict(streams)
        numbers, values = array(_STREAMS, stream_of), array(_STAMPS, stamps)
        for number, stamp in zip(numbers, values, strict=True):
            source, run = names[number]
            self.add(ItemKey(source, stamp, run))

    def add(self, key: ItemKey) -> None:
        """Add a key that is not there; a full window forgets its oldest one."""
        if self._count == len(self._stamps):
            self._forget_oldest()
        stream = key.source, key.run
        stamps = self._sorted.get(stream)
        if stamps is None:
            stamps = self._open(stream)
        if not stamps or key.stamp > stamps[-1]:
            stamps.append(key.stamp)
        else:
            stamps.insert(bisect_left(stamps, key.stamp), key.stamp)
        at = (self._oldest + self._count) % len(self._stamps)
        self._stamps[at], self._stream_of[at] = key.stamp, self._numbers[stream]
        self._count += 1

    def _open(self, stream: tuple[str, int]) -> array[int]:
        """Begin a stream: with the lowest number that is free."""
        number = next(each for each in range(len(self._streams) + 1) if each not in self._streams)
        self._numbers[stream], self._streams[number] = number, stream
        self._sorted[stream] = array(_STAMPS)
        return self._sorted[stream]

    def _forget_oldest(self) -> None:
        stamp, number = self._stamps[self._oldest], self._stream_of[self._oldest]
        stream = self._streams[number]
        stamps = self._sorted[stream]
        del stamps[bisect_left(stamps, stamp)]
        if not stamps:
            del self._sorted[stream], self._numbers[stream], self._streams[number]
        self._oldest = (self._oldest + 1) % len(self._stamps)
        self._count -= 1
