"""A stage's broadcast inputs: the last messages of a topic, to be looked up by stamp."""

from __future__ import annotations

import bisect
import threading
import time
from typing import Any

NANOSECONDS = 1_000_000_000
# More than the disorder that several publishers make, or a worker whose item is done again.
CLOCK_JUMP = 2 * NANOSECONDS


def stamp_ns(stamp: Any) -> int:
    """A stamp in nanoseconds. Takes a ``builtin_interfaces/Time``, or nanoseconds already."""
    if isinstance(stamp, int):
        return stamp
    return int(stamp.sec) * NANOSECONDS + int(stamp.nanosec)


def header_of(message: Any) -> Any:
    """The ``std_msgs/Header`` of a message; a Header is its own."""
    return getattr(message, 'header', message)


class ContextBuffer:
    """The newest messages of a context, ordered by their stamps.

    Filled by the worker's executor thread and read by the stage's thread. Bounded: past
    ``capacity`` messages the oldest go. When a message is older than the newest by more than
    ``CLOCK_JUMP`` its clock was set back: what is newer is of another time, and forgotten.
    """

    def __init__(self, capacity: int = 256) -> None:
        if capacity < 1:
            raise ValueError(f'capacity: found {capacity}; allowed: 1 or more')
        self._capacity = capacity
        self._stamps: list[int] = []
        self._messages: list[Any] = []
        self._changed = threading.Condition()

    def __len__(self) -> int:
        with self._changed:
            return len(self._stamps)

    def add(self, message: Any) -> None:
        """Keep a message. One with a stamp already kept takes its place."""
        stamp = stamp_ns(header_of(message).stamp)
        with self._changed:
            at = bisect.bisect_left(self._stamps, stamp)
            if self._stamps and self._stamps[-1] - stamp > CLOCK_JUMP:
                del self._stamps[at:], self._messages[at:]
            if at < len(self._stamps) and self._stamps[at] == stamp:
                self._messages[at] = message
            else:
                self._stamps.insert(at, stamp)
                self._messages.insert(at, message)
            if len(self._stamps) > self._capacity:
                del self._stamps[0], self._messages[0]
            self._changed.notify_all()

    def latest(self) -> Any:
        """The message with the newest stamp, or None."""
        with self._changed:
            return self._messages[-1] if self._messages else None

    def nearest(self, stamp: Any) -> Any:
        """The message whose stamp is nearest to ``stamp`` (the earlier of two as near), or None."""
        wanted = stamp_ns(stamp)
        with self._changed:
            if not self._stamps:
                return None
            after = bisect.bisect_left(self._stamps, wanted)
            candidates = range(max(0, after - 1), min(after + 1, len(self._stamps)))
            return self._messages[min(candidates, key=lambda i: abs(self._stamps[i] - wanted))]

    def around(self, stamp: Any, timeout: float = 0.0) -> tuple[Any, Any]:
        """The messages just before and just after ``stamp``, for interpolation; None where missing.

        A message with exactly this stamp is both. Waits at most ``timeout`` seconds for one at or
        after ``stamp`` to come.
        """
        wanted = stamp_ns(stamp)
        deadline = time.monotonic() + timeout
        with self._changed:
            while not self._stamps or self._stamps[-1] < wanted:
                remaining = deadline - time.monotonic()
                if remaining <= 0 or not self._changed.wait(remaining):
                    break
            after = bisect.bisect_left(self._stamps, wanted)
            late = self._messages[after] if after < len(self._stamps) else None
            if late is not None and self._stamps[after] == wanted:
                return late, late
            return (self._messages[after - 1] if after else None), late
