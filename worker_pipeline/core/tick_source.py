# SPDX-License-Identifier: Apache-2.0
"""When a source is asked for its next item, and the stamps that its items get."""

from __future__ import annotations

from typing import Any

from worker_pipeline.core.monotonic_ros_clock import MonotonicRosClock

NANOSECONDS = 10**9


class TickSource:
    """The ticks of one source. ``period``: s between two; 0: as fast as workers take them.

    With simulated time (``is_simulated``) the period is one of that time, and there is at most one
    tick for each time that ``/clock`` shows: while it stands still, there is none.
    """

    def __init__(self, period: float) -> None:
        self.period = period
        self.exhausted = False
        self.is_simulated = False
        self.epoch: int | None = None  # ROS time at which the stream started, ns
        self._last = 0  # a stamp of 0 means that there is none, in ROS
        self._due = False
        self._next_due = 0  # in simulated time, ns
        self._clock = MonotonicRosClock()

    def begin(self, epoch: int) -> None:
        """Start the stream. ``epoch``: ROS time, ns."""
        self.epoch = epoch
        self._due = True
        self._next_due = epoch + self._period_ns

    def reset(self) -> None:
        """Return to before the start: ROS time starts over, and stamps may be lower than before."""
        self.epoch, self.exhausted = None, False
        self._last, self._next_due, self._clock = 0, 0, MonotonicRosClock()

    def come_due(self) -> None:
        """Make a tick due. A period in which no worker could take one is not made up for."""
        self._due = True

    def advance(self, now: int) -> None:
        """Make a tick due if simulated time shows that a period is over. ``now``: ROS time, ns."""
        if self.epoch is None or now < self._next_due:
            return
        self._due = True
        if self.period > 0:
            periods = (now - self.epoch) // self._period_ns
            self._next_due = self.epoch + (periods + 1) * self._period_ns

    @property
    def _period_ns(self) -> int:
        return round(self.period * NANOSECONDS)

    @property
    def last(self) -> int:
        """Return the last tick's stamp, ns; 0 before the first."""
        return self._last

    @property
    def is_due(self) -> bool:
        """Return whether ``next`` would return a tick."""
        if self.exhausted or self.epoch is None:
            return False
        return self._due or (self.period <= 0 and not self.is_simulated)

    def next(self, now: int, steady: int | None = None) -> tuple[int, int] | None:
        """Take the next tick, if one is due.

        ``now``: ROS time, ns. ``steady``: the same moment by a clock that is never set, ns. With
        it the stream continues where ROS time is set back; without it, stamps are at least 1 ns
        apart.

        Returns:
            The tick's stamp, and the time since the stream started, ns; None if none is due.
        """
        if not self.is_due or self.epoch is None:
            return None
        self._due = False
        if self.is_simulated:
            if now <= self._last:
                return None  # simulated time stands still
            stamp = now
        else:
            if steady is not None:
                self._clock.update(steady, now)
                now = self._clock.ros_time(steady)
            stamp = max(now, self._last + 1)
        self._last = stamp
        return stamp, max(0, stamp - self.epoch)

    def snapshot(self) -> dict[str, Any]:
        """Return the state for a later manager, as plain values."""
        return {
            'epoch': self.epoch,
            'exhausted': self.exhausted,
            'last': self._last,
            'offset': self._clock.offset,
            'simulated': self.is_simulated,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue where an earlier manager ended."""
        self.epoch, self.exhausted = state['epoch'], state['exhausted']
        self._last = state['last']
        self.is_simulated = state.get('simulated', False)
        self._clock.offset = state['offset']
        self._due = True
