# SPDX-License-Identifier: Apache-2.0
"""For how long a process that ticks regularly has stood still."""

from __future__ import annotations

from typing import NamedTuple

# Of times that were added and subtracted, s.
ROUNDING = 1e-6


class HoldUp(NamedTuple):
    """For how long a process could do nothing, s."""

    seconds: float = 0.0  # on the monotonic clock: stopped, frozen, or on a loaded machine
    suspended: float = 0.0  # in which that clock stood still too: the machine was suspended

    @property
    def total(self) -> float:
        """Return for how long the world has gone on without this process, s."""
        return self.seconds + self.suspended


NONE = HoldUp()


class HoldUps:
    """Finds each hold-up from the times of the ticks.

    Args:
        period: s between two ticks; a tick that is later than as much again was held up.
        now: the time on the monotonic clock, s.
        boottime: the time on the clock that runs on while the machine is suspended, s.
    """

    def __init__(self, period: float, now: float, boottime: float) -> None:
        self._period = period
        self._ticked_at = now
        self._offset = boottime - now

    def tick(self, now: float, boottime: float) -> HoldUp:
        """Return the hold-up that ends with this tick; the arguments are as above."""
        late = now - self._ticked_at - self._period
        suspended = boottime - now - self._offset
        self._ticked_at, self._offset = now, boottime - now
        if max(late, suspended) <= self._period:
            return NONE
        return HoldUp(max(0.0, late), max(0.0, suspended))


class TimeLimit:
    """A limit for something that this process waits for, in which its own pauses do not count.

    Args:
        seconds: The limit, s.
        longest_turn: What the time between two looks counts at most, s.
        now: The time on the monotonic clock, s.
    """

    def __init__(self, seconds: float, longest_turn: float, now: float) -> None:
        self._left = seconds
        self._longest_turn = longest_turn
        self._looked_at = now

    def left(self, now: float) -> float:
        """Look how much time is left, s. ``now``: s."""
        self._left -= min(now - self._looked_at, self._longest_turn)
        self._looked_at = now
        return self._left
