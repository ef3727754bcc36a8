"""What is sent to the ground, and when: until it is acknowledged, and not more often than allowed.

It knows no protocol and no clock: times (s, of any steady clock) are passed in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from worker_pipeline.airside.reporting.target_report import Report, packed

# As many things can be on their way and still be told apart by their acknowledgements.
WINDOW = 5


@attrs.frozen
class TargetMessage:
    """Tell of a target. The acknowledgement bears the same ``sequence`` (0 to WINDOW - 1)."""

    sequence: int
    report: Report


@attrs.frozen
class TextMessage:
    """Tell a person; nobody acknowledges it."""

    text: str


Message = TargetMessage | TextMessage


@attrs.frozen
class Pace:
    """How often, and how patiently.

    ``period``: s, at least, between two messages. ``retry``: s without an acknowledgement, until
    the next attempt; doubled each time, up to ``backoff_max``. ``link_timeout``: s without a sign
    of life, until the ground counts as silent. ``min_move``: m, of a target that is told again.
    """

    period: float = 0.5
    retry: float = 1.0
    backoff_max: float = 30.0
    link_timeout: float = 5.0
    min_move: float = 0.25


class GroundDelivery:
    """Delivers reports, one at a time.

    A report is due until the ground has acknowledged it as it is, but for small changes. Where no
    acknowledgement comes the next one has its turn, and all wait longer and longer; the first sign
    of life after a silence ends that. A person is told of each target once, when the ground is
    there to hear.
    """

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._delivered: dict[int, Report] = {}
        self._refused: set[int] = set()
        self._told: set[int] = set()
        self._sequence = 0
        self._flying: dict[int, Report] = {}
        self._tried: dict[int, float] = {}
        self._failures = 0
        self._waiting_for: int | None = None
        self._deadline = float('-inf')
        self._earliest = float('-inf')
        self._heard: float | None = None

    def heard(self, now: float) -> None:
        """A sign of life of the ground's."""
        if not self.is_heard(now):
            self._failures = 0
            self._deadline = now
        self._heard = now

    def is_heard(self, now: float) -> bool:
        """Whether there was a sign of life lately."""
        return self._heard is not None and now - self._heard <= self._pace.link_timeout

    def silence(self, now: float) -> float | None:
        """s since the last sign of life; None if there was none."""
        return None if self._heard is None else now - self._heard

    def acknowledged(self, sequence: int, accepted: bool, now: float) -> int | None:
        """The ground has it, or has no use for it.

        Returns the number of a target that is done with: one that was withdrawn, and that nobody
        has to be told of any more.
        """
        self.heard(now)
        report = self._flying.pop(sequence, None)
        if report is None:
            return None  # came twice, or of another time
        self._failures = 0
        if self._waiting_for == sequence:
            self._waiting_for, self._deadline = None, now
        self._delivered[report.number] = report
        if accepted:
            self._refused.discard(report.number)
        else:
            self._refused.add(report.number)
        if not report.withdrawn:
            return None
        self._forget(report.number)
        return report.number

    @property
    def refused(self) -> int:
        """How many targets the ground has no use for."""
        return len(self._refused)

    def keep(self, numbers: set[int]) -> None:
        """Forget all but these targets."""
        self._delivered = {key: value for key, value in self._delivered.items() if key in numbers}
        self._tried = {key: value for key, value in self._tried.items() if key in numbers}
        self._refused &= numbers
        self._told &= numbers

    def due(self, reports: Sequence[Report]) -> list[Report]:
        """Those that the ground does not know as they are; who waited longest comes first."""
        due = [each for each in reports if self._is_due(each)]
        return sorted(due, key=lambda each: self._tried.get(each.number, float('-inf')))

    def next(self, reports: Sequence[Report], now: float) -> Message | None:
        """What to send now, if anything; it counts as sent."""
        if now < self._earliest:
            return None
        message = self._next_text(reports, now) or self._next_target(reports, now)
        if message is not None:
            self._earliest = now + self._pace.period
        return message

    def wait(self, reports: Sequence[Report], now: float) -> float:
        """s until :meth:`next` may have something, if nothing else happens."""
        times = [self._pace.backoff_max + now]
        if self._untold(reports) and self.is_heard(now):
            times.append(self._earliest)
        if self.due(reports):
            times.append(max(self._earliest, self._deadline))
        return max(0.0, min(times) - now)

    def dump(self) -> Mapping[str, Any]:
        """What a replacement must know, for JSON."""
        return {
            'delivered': [packed(each) for each in self._delivered.values()],
            'refused': sorted(self._refused),
            'told': sorted(self._told),
            'tried': sorted(self._tried),
            'sequence': self._sequence,
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """What :meth:`dump` gave. KeyError or TypeError if it is not that."""
        delivered = [Report(*each) for each in state['delivered']]
        self._delivered = {each.number: each for each in delivered}
        self._refused = {int(each) for each in state['refused']}
        self._told = {int(each) for each in state['told']}
        self._tried = {int(each): float('-inf') for each in state['tried']}
        self._sequence = int(state['sequence']) % WINDOW

    def _next_text(self, reports: Sequence[Report], now: float) -> TextMessage | None:
        untold = self._untold(reports)
        if not untold or not self.is_heard(now):
            return None
        self._told.add(untold[0].number)
        return TextMessage(text_of(untold[0]))

    def _untold(self, reports: Sequence[Report]) -> list[Report]:
        return [each for each in reports if not each.withdrawn and each.number not in self._told]

    def _next_target(self, reports: Sequence[Report], now: float) -> TargetMessage | None:
        if now < self._deadline:
            return None
        if self._waiting_for is not None:
            self._waiting_for = None
            self._failures += 1
        due = self.due(reports)
        if not due:
            return None
        report = due[0]
        sequence, self._sequence = self._sequence, (self._sequence + 1) % WINDOW
        self._flying[sequence] = report
        self._tried[report.number] = now
        self._waiting_for = sequence
        # Doubled no further than a float goes.
        longer = self._pace.retry * 2.0 ** min(self._failures, 60)
        self._deadline = now + min(longer, self._pace.backoff_max)
        return TargetMessage(sequence, report)

    def _is_due(self, report: Report) -> bool:
        known = self._delivered.get(report.number)
        if known is None:
            # Of one that was withdrawn before the ground may have heard of it, it needs no word.
            return not report.withdrawn or report.number in self._tried
        if known.withdrawn != report.withdrawn:
            return True
        ratio = report.deviation / known.deviation if known.deviation > 0 else 1.0
        return known.distance(report) > self._pace.min_move or not 0.7 < ratio < 1.5

    def _forget(self, number: int) -> None:
        self.keep((set(self._delivered) | set(self._tried) | self._told) - {number})


def text_of(report: Report) -> str:
    """A target in at most 50 characters, ASCII, as a ground station shows them to a person."""
    place = f'{report.latitude:.7f} {report.longitude:.7f}'
    return f'{report.name}: {place} {report.deviation:.2g} m'[:50]
