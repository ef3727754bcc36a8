# SPDX-License-Identifier: Apache-2.0
"""Conversion of the vehicle's time to ours.

The autopilot counts from its boot, with its own oscillator. The unknown is the offset, our time
minus the vehicle's. A message arrives after it was sent, so each gives an upper bound: its arrival
minus the time in it. An answer to TIMESYNC also gives a lower bound: the vehicle read its clock
after our request. The offset lies between the lowest upper and the highest lower bound, and in the
middle of them if the fastest messages take equally long both ways. Bounds widen with age, as fast
as two clocks may drift apart; so a drift is followed, and a late message changes nothing.
"""

from __future__ import annotations

from typing import Any

MILLISECONDS = 1_000_000  # ns
SECONDS = 1_000_000_000  # ns

# How fast two clocks may drift apart: 100 ppm, in ns per s. Oscillators are better than that.
_DRIFT = 100_000
# Messages of different kinds may be reordered by this much, ns; more means that the clock was set
# back.
_MAX_REORDERING = 1 * SECONDS
# A message that arrives this much before it can have been sent was stamped by another clock, ns.
_IMPOSSIBLE = 500 * MILLISECONDS
# Without a lower bound, the first message may have waited in a buffer for this time, ns.
_MAX_BACKLOG = 10 * SECONDS
# A link that seems late by this much for this long means that the clock has jumped, ns.
_LATE, _LATE_FOR = 1 * SECONDS, 5 * SECONDS
# This many consecutive mismatches mean a jump of the clock; fewer are stray messages.
_MISMATCHES_FOR_JUMP = 3


class VehicleClock:
    """Converts the vehicle's time (us since its boot) to ours (ns, of a steady clock).

    ``assumed_delay``: ns that the fastest messages take, if the vehicle answers no TIMESYNC.
    ``jumps``: how often the vehicle's clock has jumped, as in a reboot.
    """

    def __init__(self, assumed_delay: int = 0) -> None:
        self.jumps = 0
        self._assumed_delay = assumed_delay
        self._reset()

    def _reset(self) -> None:
        self._upper: int | None = None
        self._lower: int | None = None
        self._at = 0
        self._newest = 0
        self._mismatches = 0
        self._late_since: int | None = None

    def add_message(self, vehicle_us: int, now: int) -> bool:
        """Add the arrival of a message; return whether the time in it is plausible."""
        stamp = vehicle_us * 1000
        offset = now - stamp
        if self._upper is not None:
            self._age(now)
            if self._is_mismatch(stamp, offset):
                self._mismatches += 1
                if self._mismatches < _MISMATCHES_FOR_JUMP:
                    return False
                self._restart()
            elif self._is_late_too_long(offset, now):
                self._restart()
        self._mismatches = 0
        self._at = now
        self._newest = max(self._newest, stamp)
        self._upper = offset if self._upper is None else min(self._upper, offset)
        if self._lower is not None:
            self._lower = min(self._lower, self._upper)
        return True

    def add_timesync(self, asked: int, vehicle_ns: int, now: int) -> None:
        """Add the answer to a TIMESYNC request.

        Args:
            asked: Our time of the request, ns.
            vehicle_ns: The vehicle's time of the answer, ns.
            now: Our time of its arrival, ns.
        """
        lower = asked - vehicle_ns
        if self._upper is not None:
            self._age(now)
            if lower > self._upper + _IMPOSSIBLE or vehicle_ns < self._newest - _MAX_REORDERING:
                self._restart()
        self._at = now
        self._newest = max(self._newest, vehicle_ns)
        self._lower = lower if self._lower is None else max(self._lower, lower)
        upper = now - vehicle_ns
        self._upper = upper if self._upper is None else min(self._upper, upper)
        self._upper = max(self._upper, self._lower)

    def to_local(self, vehicle_us: int) -> int:
        """Return our time, ns, of a time of the vehicle. Requires :attr:`is_known`."""
        assert self._upper is not None
        if self._lower is None:
            offset = self._upper - self._assumed_delay
        else:
            offset = (self._upper + self._lower) // 2
        return vehicle_us * 1000 + offset

    @property
    def is_known(self) -> bool:
        """Return whether any time has been received."""
        return self._upper is not None

    @property
    def uncertainty(self) -> int | None:
        """Return the greatest error of the offset, ns; None if TIMESYNC was not answered."""
        if self._upper is None or self._lower is None:
            return None
        return (self._upper - self._lower) // 2

    def snapshot(self) -> list[Any]:
        """Return the state for a replacement on this machine."""
        return [self._upper, self._lower, self._at, self._newest, self.jumps]

    def restore(self, snapshot: list[Any], now: int) -> None:
        """Restore a snapshot, unless it was taken with another steady clock (before a reboot)."""
        self._reset()
        if snapshot[2] <= now:
            self._upper, self._lower, self._at, self._newest, self.jumps = snapshot

    def _restart(self) -> None:
        self.jumps += 1
        self._reset()

    def _age(self, now: int) -> None:
        drifted = max(0, now - self._at) * _DRIFT // SECONDS
        self._at = max(self._at, now)
        if self._upper is not None:
            self._upper += drifted
        if self._lower is not None:
            self._lower -= drifted

    def _is_mismatch(self, stamp: int, offset: int) -> bool:
        assert self._upper is not None
        lowest = self._upper - _MAX_BACKLOG if self._lower is None else self._lower
        return stamp < self._newest - _MAX_REORDERING or offset < lowest - _IMPOSSIBLE

    def _is_late_too_long(self, offset: int, now: int) -> bool:
        assert self._upper is not None
        if offset <= self._upper + _LATE:
            self._late_since = None
            return False
        if self._late_since is None:
            self._late_since = now
        return now - self._late_since > _LATE_FOR
