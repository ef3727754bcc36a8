# SPDX-License-Identifier: Apache-2.0
"""The delivery of reports to the ground: rate limit, retries, acknowledgements.

It has no protocol and no clock: times (s, of a steady clock) are passed in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from worker_pipeline.airside.reporting.target_report import Report, to_row

# Number of messages that acknowledgements can tell apart while they are in flight.
WINDOW = 5


@attrs.frozen
class TargetMessage:
    """A target's report. Its acknowledgement has the same ``sequence`` (0 to WINDOW - 1)."""

    sequence: int
    report: Report


@attrs.frozen
class TextMessage:
    """A text for a person, which is not acknowledged."""

    text: str


Message = TargetMessage | TextMessage


@attrs.frozen
class RateLimits:
    """Rates and timeouts of the delivery.

    ``period``: s, minimum between two messages. ``retry``: s without an acknowledgement before the
    next attempt; doubled each time, up to ``backoff_max``. ``link_timeout``: s without a message
    from the ground until the contact is lost. ``min_move``: m, that a target must move to be sent
    again.
    """

    period: float = 0.5
    retry: float = 1.0
    backoff_max: float = 30.0
    link_timeout: float = 5.0
    min_move: float = 0.25


class GroundDelivery:
    """Delivers reports, one at a time.

    A report is due until the ground has acknowledged it in its current form, except for small
    changes. Without an acknowledgement the next report is sent, with increasing pauses; contact
    after a silence resets them. A text announces each target once, while there is contact.
    """

    def __init__(self, limits: RateLimits) -> None:
        self._limits = limits
        self._delivered: dict[int, Report] = {}
        self._refused: set[int] = set()
        self._announced: set[int] = set()
        self._sequence = 0
        self._in_flight: dict[int, Report] = {}
        self._tried: dict[int, float] = {}
        self._failures = 0
        self._waiting_for: int | None = None
        self._deadline = float('-inf')
        self._earliest = float('-inf')
        self._last_contact: float | None = None

    def record_contact(self, now: float) -> None:
        """Record a message from the ground."""
        if not self.is_in_contact(now):
            self._failures = 0
            self._deadline = now
        self._last_contact = now

    def is_in_contact(self, now: float) -> bool:
        """Return whether the ground was received within ``link_timeout``."""
        return (
            self._last_contact is not None and now - self._last_contact <= self._limits.link_timeout
        )

    def time_since_contact(self, now: float) -> float | None:
        """Return the seconds since the last message from the ground; None if there was none."""
        return None if self._last_contact is None else now - self._last_contact

    def acknowledged(self, sequence: int, accepted: bool, now: float) -> int | None:
        """Record an acknowledgement.

        Returns the number of a withdrawn target that is finished, since the ground now knows of its
        withdrawal; else None.

        Args:
            sequence: The sequence number of the acknowledged message.
            accepted: Whether the ground accepted it.
            now: s, of a steady clock.
        """
        self.record_contact(now)
        report = self._in_flight.pop(sequence, None)
        if report is None:
            return None  # a duplicate, or from an earlier session
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
        self._remove(report.number)
        return report.number

    @property
    def refused(self) -> int:
        """Return the number of targets that the ground has rejected."""
        return len(self._refused)

    def retain(self, numbers: set[int]) -> None:
        """Drop the state of all other targets."""
        self._delivered = {key: value for key, value in self._delivered.items() if key in numbers}
        self._tried = {key: value for key, value in self._tried.items() if key in numbers}
        self._refused &= numbers
        self._announced &= numbers

    def due(self, reports: Sequence[Report]) -> list[Report]:
        """Return the reports that the ground does not have, the one waiting longest first."""
        due = [each for each in reports if self._is_due(each)]
        return sorted(due, key=lambda each: self._tried.get(each.number, float('-inf')))

    def next_message(self, reports: Sequence[Report], now: float) -> Message | None:
        """Return the message to send now, or None; it counts as sent."""
        if now < self._earliest:
            return None
        message = self._next_text(reports, now) or self._next_target(reports, now)
        if message is not None:
            self._earliest = now + self._limits.period
        return message

    def time_to_next(self, reports: Sequence[Report], now: float) -> float:
        """Return the seconds until :meth:`next_message` may return something."""
        times = [self._limits.backoff_max + now]
        if self._unannounced(reports) and self.is_in_contact(now):
            times.append(self._earliest)
        if self.due(reports):
            times.append(max(self._earliest, self._deadline))
        return max(0.0, min(times) - now)

    def snapshot(self) -> Mapping[str, Any]:
        """Return the state for a replacement, as JSON values."""
        return {
            'delivered': [to_row(each) for each in self._delivered.values()],
            'refused': sorted(self._refused),
            'told': sorted(self._announced),
            'tried': sorted(self._tried),
            'sequence': self._sequence,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore a state from :meth:`snapshot`. KeyError or TypeError if it is invalid."""
        delivered = [Report(*each) for each in state['delivered']]
        self._delivered = {each.number: each for each in delivered}
        self._refused = {int(each) for each in state['refused']}
        self._announced = {int(each) for each in state['told']}
        self._tried = {int(each): float('-inf') for each in state['tried']}
        self._sequence = int(state['sequence']) % WINDOW

    def _next_text(self, reports: Sequence[Report], now: float) -> TextMessage | None:
        unannounced = self._unannounced(reports)
        if not unannounced or not self.is_in_contact(now):
            return None
        self._announced.add(unannounced[0].number)
        return TextMessage(text_of(unannounced[0]))

    def _unannounced(self, reports: Sequence[Report]) -> list[Report]:
        return [
            each for each in reports if not each.withdrawn and each.number not in self._announced
        ]

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
        self._in_flight[sequence] = report
        self._tried[report.number] = now
        self._waiting_for = sequence
        # The doubling is bounded so that the float does not overflow.
        longer = self._limits.retry * 2.0 ** min(self._failures, 60)
        self._deadline = now + min(longer, self._limits.backoff_max)
        return TargetMessage(sequence, report)

    def _is_due(self, report: Report) -> bool:
        known = self._delivered.get(report.number)
        if known is None:
            # A target withdrawn before it was ever sent need not be reported.
            return not report.withdrawn or report.number in self._tried
        if known.withdrawn != report.withdrawn:
            return True
        ratio = report.deviation / known.deviation if known.deviation > 0 else 1.0
        return known.distance(report) > self._limits.min_move or not 0.7 < ratio < 1.5

    def _remove(self, number: int) -> None:
        self.retain((set(self._delivered) | set(self._tried) | self._announced) - {number})


def text_of(report: Report) -> str:
    """Return a target in at most 50 ASCII characters, as a ground station shows texts."""
    place = f'{report.latitude:.7f} {report.longitude:.7f}'
    return f'{report.name}: {place} {report.deviation:.2g} m'[:50]
