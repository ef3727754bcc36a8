# SPDX-License-Identifier: Apache-2.0
"""What ROS time is at the moment: the system's, or simulated by messages on ``/clock``."""

from __future__ import annotations

import enum
from typing import NamedTuple

# A clock that is set back by less is one whose messages overtook each other, ns.
TOLERANCE = 100_000_000
# After this long without a message the clock counts as stopped, s.
SILENCE = 3.0


class ClockState(enum.Enum):
    """Where ROS time comes from, and how it runs."""

    SYSTEM = 'system'
    WAITING = 'waiting for /clock'
    RUNNING = 'running'
    PAUSED = 'paused'  # messages come, and all show the same time


class ClockUpdate(NamedTuple):
    """What a message on ``/clock`` has changed."""

    started: bool = False  # it is the first
    advanced: bool = False
    set_back_from: int | None = None  # the time before it was set back, ns


class RosTime:
    """ROS time as its source shows it.

    Args:
        is_simulated: whether ``/clock`` shows it.
        now: s, by the steady clock.
    """

    def __init__(self, *, is_simulated: bool, now: float) -> None:
        self.time: int | None = None  # simulated ROS time, ns; None before the first message
        self._received_at: float | None = None
        self.set_simulated(now, is_simulated=is_simulated)

    def set_simulated(self, now: float, *, is_simulated: bool) -> None:
        """Change the source of ROS time; a simulated one starts with the next message.

        Args:
            now: s.
            is_simulated: as above.
        """
        self.is_simulated = is_simulated
        self.time = self._received_at = None
        self._since = self._advanced_at = now

    def resume(self, last: int) -> None:
        """Continue after an earlier manager. ``last``: the time it saw last, ns."""
        self.time = last

    @property
    def is_known(self) -> bool:
        """Return whether there is a ROS time: the system's, or one that ``/clock`` has shown."""
        return not self.is_simulated or self._received_at is not None

    def clock_received(self, ros: int, now: float) -> ClockUpdate:
        """Take the time in a message on ``/clock``. ``ros``: ns; ``now``: s."""
        is_first = self._received_at is None
        self._received_at = now
        before = self.time
        if before is None or ros > before:
            self.time, self._advanced_at = ros, now
            return ClockUpdate(started=is_first, advanced=True)
        if ros < before - TOLERANCE:
            self.time, self._advanced_at = ros, now
            return ClockUpdate(is_first, advanced=True, set_back_from=before)
        return ClockUpdate(started=is_first)

    def silence(self, now: float) -> float:
        """Return how long there has been no message on ``/clock``, s."""
        return now - (self._since if self._received_at is None else self._received_at)

    def state(self, now: float) -> ClockState:
        """Return how ROS time runs. ``now``: s."""
        if not self.is_simulated:
            return ClockState.SYSTEM
        if self._received_at is None or self.silence(now) > SILENCE:
            return ClockState.WAITING
        return ClockState.PAUSED if now - self._advanced_at > SILENCE else ClockState.RUNNING

    def problem(self, now: float) -> str:
        """Return what is wrong with ROS time, '' if nothing is. ``now``: s."""
        if self.state(now) is not ClockState.WAITING:
            return ''
        return (
            f'waiting for /clock: use_sim_time is true, and no time for {self.silence(now):.0f} s'
        )
