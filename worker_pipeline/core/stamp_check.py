# SPDX-License-Identifier: Apache-2.0
"""Compares the stamps of a source with the time at which its messages arrive.

A message should be stamped with the time of measurement, by a clock that agrees with ours. What is
found is a statement about many messages: one that is late, or a process that stood still, shows
nothing. A recording is played with old stamps on purpose, so stamps that are merely far behind are
told, but are no warning; nor are those of simulated time.
"""

from __future__ import annotations

import enum
from collections import deque
from statistics import median, quantiles

import attrs

from worker_pipeline.core.source_rate import SourceRate

WINDOW = 64
MIN_MESSAGES = 16
SECOND = 1_000_000_000
# Stamps before 2001 are counted from something else than 1970, ns.
EARLIEST = 1_000_000_000 * SECOND
# How near stamps are to the time since this machine's boot if they are of its steady clock, ns.
BOOT_TOLERANCE = 10 * SECOND
# A difference between the steps of stamps and of arrivals beyond it is a jump, ns.
JUMP = SECOND // 2
# So many jumps within so many messages are a clock that jumps.
JUMPS, AMONG = 3, 100
# Stamps that are further ahead of their arrival are of another clock, ns. Simulated time stands
# still between two messages on /clock, which others may overtake.
AHEAD, AHEAD_SIMULATED = 20_000_000, SECOND
# Above it an offset is told, and above the second one it is no latency, ns.
LATE, BEHIND = SECOND // 10, 2 * SECOND
# No camera exposes, reads out and sends an image within it, ns.
AT_ONCE = 3_000_000
# Offsets that are spread more are not told, as those of messages that had to wait: share, and ns.
MAX_SPREAD, LEAST_SPREAD = 0.2, SECOND // 4


class StampKind(enum.Enum):
    """What stamps are."""

    UNKNOWN = ''
    GOOD = 'ok'
    ZERO = 'zero'
    BOOT = 'time since boot'
    SINCE_START = 'time since a start'
    AHEAD = 'ahead'
    LATE = 'late'
    BEHIND = 'behind'
    AT_ARRIVAL = 'stamped when sent'
    JUMPED = 'jumped'
    JUMPING = 'jumping'
    FAST = 'faster than time'


WARNINGS = frozenset({StampKind.ZERO, StampKind.BOOT, StampKind.AHEAD, StampKind.JUMPING})


@attrs.frozen
class StampFinding:
    """What was found, and the same in words."""

    kind: StampKind
    text: str = ''

    @property
    def is_warning(self) -> bool:
        """Return whether it is wrong in any case, and not, for instance, a recording."""
        return self.kind in WARNINGS


@attrs.frozen
class Clocks:
    """What the check needs to know of the clocks.

    ``boot``: the steady time of this machine since its boot, ns. ``is_simulated``: arrivals are in
    simulated time.
    """

    boot: int
    is_simulated: bool = False


class StampCheck:
    """The stamps of one source.

    ``note`` is called with every message and does little; ``look`` a few times a second.

    Args:
        is_image: the messages are images, which cannot arrive as soon as they are captured.
    """

    def __init__(self, *, is_image: bool = False) -> None:
        self.rate = SourceRate()
        self.finding = StampFinding(StampKind.UNKNOWN)
        self._is_image = is_image
        self._offsets: deque[int] = deque(maxlen=WINDOW)  # arrival minus stamp, ns
        self._last: tuple[int, int] | None = None  # the last stamp and its arrival, ns
        self._count = 0
        # Of the last jumps: the number of the message, and by how much it jumped, ns.
        self._jumps: deque[tuple[int, int]] = deque(maxlen=JUMPS)
        self._zeros = 0  # since the last look
        self._is_simulated: bool | None = None  # at the last look
        self._told: set[StampKind] = set()

    def note(self, stamp: int, arrived: int) -> None:
        """Take a message's stamp, and the ROS time of its arrival, ns."""
        self._count += 1
        if self._last is not None:
            self._note_step(stamp - self._last[0], arrived - self._last[1])
        self._last = stamp, arrived
        self._offsets.append(arrived - stamp)

    def note_zero(self) -> None:
        """Take a message whose stamp is zero."""
        self._zeros += 1

    def _note_step(self, step: int, waited: int) -> None:
        shift = step - waited
        # A message that comes late, as after a pause of ours, is no jump: its stamp still advances.
        if abs(shift) > JUMP and (step < -JUMP or shift > JUMP):
            self._jumps.append((self._count, shift))
            self._offsets.clear()
            self.rate.restart()
        else:
            self.rate.step(step)

    def _restart(self) -> None:
        """Forget the messages: those that follow arrive in another kind of time."""
        self._offsets.clear()
        self._jumps.clear()
        self._last = None
        self.finding = StampFinding(StampKind.UNKNOWN)

    @property
    def offset(self) -> float | None:
        """Return the median of arrival minus stamp, ns; None before there are enough messages."""
        return median(self._offsets) if len(self._offsets) >= MIN_MESSAGES else None

    @property
    def jitter(self) -> float | None:
        """Return the median deviation of that, ns; None before there are enough messages."""
        offset = self.offset
        return None if offset is None else median(abs(each - offset) for each in self._offsets)

    def look(self, clocks: Clocks) -> StampFinding | None:
        """Find out what the stamps are; return it if it is to be told: each kind once."""
        self.rate.look()
        if self._is_simulated not in (None, clocks.is_simulated):
            self._restart()
        self._is_simulated = clocks.is_simulated
        found = self._find(clocks)
        self._zeros = 0
        if found is None:
            return None
        self.finding = found
        if not found.text or found.kind in self._told:
            return None
        self._told.add(found.kind)
        return found

    def _find(self, clocks: Clocks) -> StampFinding | None:
        """Return what the stamps are, or None if that cannot be told at the moment."""
        if self._zeros:
            return StampFinding(StampKind.ZERO, 'stamps are zero: their publisher sets none')
        if self.finding.kind is StampKind.ZERO:
            self.finding = StampFinding(StampKind.UNKNOWN)  # none has come since the last look
        if not clocks.is_simulated and (found := self._find_jumping()):
            return found
        offset = self.offset
        if offset is None or self._last is None or self._is_spread(offset):
            return None
        if self._jumps and self._count - self._jumps[-1][0] < AMONG:
            shift = self._jumps[-1][1]
            return StampFinding(
                StampKind.JUMPED,
                f'stamps have jumped {"ahead" if shift > 0 else "back"} by {_seconds(abs(shift))}: '
                'a recording that begins again, or a clock that was set',
            )
        return self._find_offset(offset, self._last, clocks)

    def _find_jumping(self) -> StampFinding | None:
        """Return what many jumps are, if there are many."""
        if len(self._jumps) < JUMPS or self._count - self._jumps[0][0] >= AMONG:
            return None
        shift = self._jumps[-1][1]
        ahead = sum(each > 0 for _, each in self._jumps)
        if not ahead:
            return None  # a short recording that begins again and again
        if ahead == JUMPS:
            # Further and further ahead, never back: no clock that is wrong in turns.
            return StampFinding(
                StampKind.FAST,
                'stamps advance faster than time: a recording that is played at a higher rate',
            )
        return StampFinding(
            StampKind.JUMPING,
            f'stamps are jumping, the last one by {_seconds(shift)}: a clock that is set again and '
            'again, or several publishers with different clocks',
        )

    def _is_spread(self, offset: float) -> bool:
        tenths = quantiles(self._offsets, n=10)
        return tenths[-1] - tenths[0] > max(LEAST_SPREAD, MAX_SPREAD * abs(offset))

    def _find_offset(self, offset: float, last: tuple[int, int], clocks: Clocks) -> StampFinding:
        stamp, arrived = last
        behind = f'stamps are {_seconds(offset)} behind their arrival'
        if stamp < EARLIEST <= arrived:
            if abs(clocks.boot - stamp) < BOOT_TOLERANCE:
                return StampFinding(
                    StampKind.BOOT, 'stamps are the time since the boot of this machine'
                )
            return StampFinding(
                StampKind.SINCE_START,
                'stamps are the time since the boot of another device, or simulated time',
            )
        if offset < -(AHEAD_SIMULATED if clocks.is_simulated else AHEAD):
            return StampFinding(
                StampKind.AHEAD,
                f'stamps are {_seconds(-offset)} ahead of their arrival: another clock',
            )
        if offset > BEHIND:
            return StampFinding(StampKind.BEHIND, f'{behind}: another clock, or a recording')
        if offset > LATE:
            return StampFinding(
                StampKind.LATE, f'{behind}: the latency of their source, or a constant offset'
            )
        if self._is_image and offset < AT_ONCE and not clocks.is_simulated:
            return StampFinding(
                StampKind.AT_ARRIVAL,
                f'{behind}: images are stamped when they are sent, not when they are captured',
            )
        return StampFinding(StampKind.GOOD)


def _seconds(time: float) -> str:
    """Return a time in ns as text, with two or three digits."""
    seconds = time / SECOND
    return f'{seconds:.3f} s' if abs(seconds) < 0.01 else f'{seconds:.3g} s'
