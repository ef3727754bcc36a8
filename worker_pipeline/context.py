# SPDX-License-Identifier: Apache-2.0
"""The buffer behind a stage's contexts: the newest messages of a topic, looked up by stamp."""

from __future__ import annotations

import bisect
import threading
import time
from typing import Any

NANOSECONDS = 1_000_000_000
# More than the disorder between several publishers, or of an item that is redelivered.
CLOCK_JUMP = 2 * NANOSECONDS


def stamp_ns(stamp: Any) -> int:
    """Return a ``builtin_interfaces/Time`` in nanoseconds; an int is in nanoseconds already."""
    if isinstance(stamp, int):
        return stamp
    return int(stamp.sec) * NANOSECONDS + int(stamp.nanosec)


def header_of(message: Any) -> Any:
    """Return the ``std_msgs/Header`` of a message, which may be a Header itself."""
    return getattr(message, 'header', message)


class ContextBuffer:
    """The newest messages of a context, sorted by stamp.

    >>> from builtin_interfaces.msg import Time
    >>> from std_msgs.msg import Header
    >>> buffer = ContextBuffer()
    >>> for second in (10, 11):
    ...     buffer.add(Header(stamp=Time(sec=second), frame_id=f'at {second} s'))
    >>> buffer.nearest(Time(sec=10, nanosec=700_000_000)).frame_id
    'at 11 s'
    >>> before, after = buffer.around(Time(sec=10, nanosec=700_000_000))
    >>> before.frame_id, after.frame_id
    ('at 10 s', 'at 11 s')

    The worker's executor thread fills it, the stage's thread reads it. It keeps the ``capacity``
    newest messages. A message more than ``CLOCK_JUMP`` older than the newest one shows that the
    publisher's clock was set back; the messages newer than it are then dropped. One without a stamp
    (0) shows nothing: it is only kept while there is none with a stamp.

    Raises ValueError if ``capacity`` is below 1.
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
        """Add a message; it replaces one with the same stamp."""
        stamp = stamp_ns(header_of(message).stamp)
        with self._changed:
            if not stamp and self._stamps and self._stamps[-1]:
                return
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
        """Return the message with the newest stamp, or None."""
        with self._changed:
            return self._messages[-1] if self._messages else None

    def nearest(self, stamp: Any) -> Any:
        """Return the message nearest to ``stamp``, the earlier of two equally near, or None."""
        wanted = stamp_ns(stamp)
        with self._changed:
            if not self._stamps:
                return None
            after = bisect.bisect_left(self._stamps, wanted)
            candidates = range(max(0, after - 1), min(after + 1, len(self._stamps)))
            return self._messages[min(candidates, key=lambda i: abs(self._stamps[i] - wanted))]

    def around(self, stamp: Any, timeout: float = 0.0) -> tuple[Any, Any]:
        """Return the messages just before and just after ``stamp``, for interpolation.

        Either is None if there is no such message; a message with exactly this stamp is both.
        Waits up to ``timeout`` seconds for a message at or after ``stamp``.
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
