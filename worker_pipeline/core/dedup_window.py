# SPDX-License-Identifier: Apache-2.0
"""The dedup window: the keys of the last finished items, in little memory.

A set of keys takes 200 bytes for each. At five items a second it takes a quarter of an hour to
fill, and until then a manager of seven stages would grow by some megabytes. The stamps of an
input mostly come in ascending order, so sorted arrays of numbers are as fast, at 18 bytes each.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Any

from worker_pipeline.core.item import ItemKey

# Of the numbers in an array: eight bytes with a sign, as a stamp in nanoseconds needs.
_STAMPS, _STREAMS = 'q', 'L'


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

    def plain(self) -> list[tuple[str, int, int]]:
        """Return the keys as plain values, the oldest first."""
        size, stamps, streams = len(self._stamps), self._stamps, self._stream_of
        places = [each % size for each in range(self._oldest, self._oldest + self._count)]
        keys = self._streams
        found = []
        for at in places:
            source, run = keys[streams[at]]
            found.append((source, stamps[at], run))
        return found

    def restore(self, keys: Iterable[tuple[Any, ...]]) -> None:
        """Take over what ``plain`` of another window returned, into an empty one.

        Not one after the other: workers wait for it after a restart.
        """
        assert not self._count, 'the window is empty'
        by_stream: dict[tuple[str, int], list[int]] = {}
        for at, key in enumerate([*keys][-len(self._stamps) :]):
            source, stamp, run = key if len(key) == 3 else ItemKey(*key)
            stream = source, run
            stamps = by_stream.get(stream)
            if stamps is None:
                stamps = by_stream[stream] = []
                self._open(stream)
            stamps.append(stamp)
            self._stamps[at], self._stream_of[at] = stamp, self._numbers[stream]
            self._count += 1
        for stream, stamps in by_stream.items():
            self._sorted[stream] = array(_STAMPS, sorted(stamps))

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
