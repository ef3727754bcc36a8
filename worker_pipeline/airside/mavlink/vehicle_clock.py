"""The vehicle's time in ours.

The autopilot counts from its boot, with a quartz of its own. What is sought is the offset, our
time minus the vehicle's. No message comes before it was sent, so each gives an upper bound of it:
when it came, minus the time it bears. An answer to TIMESYNC gives a lower bound too: the vehicle
read its clock after we had asked. The offset lies between the lowest upper and the highest lower
bound, and in their middle where the quickest messages take as long either way. Bounds lose their
worth with age, as fast as two clocks may drift apart; so a drift is followed, and what is late
changes nothing.
"""

from __future__ import annotations

from typing import Any

MILLISECONDS = 1_000_000  # ns
SECONDS = 1_000_000_000  # ns

# How fast two clocks may drift apart: 100 ppm, in ns per s. Quartzes are better than that.
_DRIFT = 100_000
# Messages of different kinds may overtake one another by so much: no clock was set back. ns.
_REORDERED = 1 * SECONDS
# What comes so much before it can have been sent was not stamped by the same clock. ns.
_IMPOSSIBLE = 500 * MILLISECONDS
# Where there is no lower bound, what was heard first may have waited in a buffer for so long. ns.
_BACKLOG = 10 * SECONDS
# A link is not late by so much for so long: the clock is another one. ns.
_LATE, _LATE_FOR = 1 * SECONDS, 5 * SECONDS
# So many messages in a row that do not fit make a clock that jumped; fewer are strays.
_PROOF = 3


class VehicleClock:
    """Times of the vehicle (us since its boot) to times of ours (ns, of a clock that never jumps).

    ``assumed_delay``: ns that the quickest messages take, where the vehicle answers no TIMESYNC.
    ``jumps``: how often the vehicle's clock was seen to have jumped, as it does in a reboot.
    """

    def __init__(self, assumed_delay: int = 0) -> None:
        self.jumps = 0
        self._assumed_delay = assumed_delay
        self._forget()

    def _forget(self) -> None:
        self._upper: int | None = None
        self._lower: int | None = None
        self._at = 0
        self._newest = 0
        self._strange = 0
        self._late_since: int | None = None

    def heard(self, vehicle_us: int, now: int) -> bool:
        """A message that bears this time has come. Whether its time is to be relied on."""
        stamp = vehicle_us * 1000
        offset = now - stamp
        if self._upper is not None:
            self._age(now)
            if self._does_not_fit(stamp, offset):
                self._strange += 1
                if self._strange < _PROOF:
                    return False
                self._begin_anew()
            elif self._is_late_for_long(offset, now):
                self._begin_anew()
        self._strange = 0
        self._at = now
        self._newest = max(self._newest, stamp)
        self._upper = offset if self._upper is None else min(self._upper, offset)
        if self._lower is not None:
            self._lower = min(self._lower, self._upper)
        return True

    def answered(self, asked: int, vehicle_ns: int, now: int) -> None:
        """The vehicle has answered, with its time in ns, what we had asked at a time of ours."""
        lower = asked - vehicle_ns
        if self._upper is not None:
            self._age(now)
            if lower > self._upper + _IMPOSSIBLE or vehicle_ns < self._newest - _REORDERED:
                self._begin_anew()
        self._at = now
        self._newest = max(self._newest, vehicle_ns)
        self._lower = lower if self._lower is None else max(self._lower, lower)
        upper = now - vehicle_ns
        self._upper = upper if self._upper is None else min(self._upper, upper)
        self._upper = max(self._upper, self._lower)

    def local(self, vehicle_us: int) -> int:
        """Our time, ns, of a time of the vehicle. Only after one was heard."""
        assert self._upper is not None
        if self._lower is None:
            offset = self._upper - self._assumed_delay
        else:
            offset = (self._upper + self._lower) // 2
        return vehicle_us * 1000 + offset

    @property
    def knows(self) -> bool:
        """Whether a time was heard yet."""
        return self._upper is not None

    @property
    def uncertainty(self) -> int | None:
        """How far off the offset may be at most, ns; None where TIMESYNC was not answered."""
        if self._upper is None or self._lower is None:
            return None
        return (self._upper - self._lower) // 2

    def snapshot(self) -> list[Any]:
        """What a successor on this machine goes on from."""
        return [self._upper, self._lower, self._at, self._newest, self.jumps]

    def restore(self, snapshot: list[Any], now: int) -> None:
        """Go on from a snapshot; from none that is of another clock than ours."""
        self._forget()
        if snapshot[2] <= now:
            self._upper, self._lower, self._at, self._newest, self.jumps = snapshot

    def _begin_anew(self) -> None:
        self.jumps += 1
        self._forget()

    def _age(self, now: int) -> None:
        drifted = max(0, now - self._at) * _DRIFT // SECONDS
        self._at = max(self._at, now)
        if self._upper is not None:
            self._upper += drifted
        if self._lower is not None:
            self._lower -= drifted

    def _does_not_fit(self, stamp: int, offset: int) -> bool:
        assert self._upper is not None
        lowest = self._upper - _BACKLOG if self._lower is None else self._lower
        return stamp < self._newest - _REORDERED or offset < lowest - _IMPOSSIBLE

    def _is_late_for_long(self, offset: int, now: int) -> bool:
        assert self._upper is not None
        if offset <= self._upper + _LATE:
            self._late_since = None
            return False
        if self._late_since is None:
            self._late_since = now
        return now - self._late_since > _LATE_FOR
