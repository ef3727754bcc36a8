# SPDX-License-Identifier: Apache-2.0
"""The stamps of messages that come by topics: corrected as configured, compared with arrivals."""

from __future__ import annotations

import time
from typing import Any

from worker_pipeline.config import StageConfig
from worker_pipeline.core.ros_time import RosTime
from worker_pipeline.core.stamp_check import Clocks, StampCheck, StampFinding, StampKind
from worker_pipeline.ros.cdr import BadMessageError, NoStampError, stamp_of, with_stamp

NANOSECONDS = 1_000_000_000
ARRIVAL = 'arrival'
# A clock that is set back by more is followed, and not bridged by stamps a nanosecond apart, ns.
SET_BACK = 2 * NANOSECONDS
_BY_ARRIVAL = '; {stage}.stamps: arrival stamps them when they arrive'
REMEDIES = {
    StampKind.ZERO: _BY_ARRIVAL,
    StampKind.BOOT: _BY_ARRIVAL,
    StampKind.SINCE_START: '; use_sim_time if it is simulated, else {stage}.stamps: arrival',
    StampKind.AHEAD: '; synchronise the clocks, or correct it by {stage}.stamp_offset',
    StampKind.LATE: '; if it is no latency, {stage}.stamp_offset corrects it',
    StampKind.AT_ARRIVAL: '; set {stage}.stamp_offset to minus the time since capture: -0.03',
    StampKind.JUMPING: _BY_ARRIVAL,
}


class InputStamps:
    """Reads the stamps of a stage's messages, and keeps what they are of each outside input.

    Args:
        config: the stage's.
        ros_time: the pipeline's.
    """

    def __init__(self, config: StageConfig, ros_time: RosTime) -> None:
        self._stage = config.name
        self._topics = [each for each in config.inputs if each.startswith('/')]
        self._by_arrival = config.stamps == ARRIVAL
        self._offset = round(config.stamp_offset * NANOSECONDS)
        self._ros_time = ros_time
        self._is_image = False
        self._checks: dict[str, StampCheck] = {}
        self._last: dict[str, int] = {}  # the last stamp by arrival

    def open(self, *, is_image: bool) -> None:
        """Begin anew, with messages that are images or not."""
        self._is_image = is_image
        self._checks = {topic: self._new_check() for topic in self._topics}

    def _new_check(self) -> StampCheck:
        return StampCheck(is_image=self._is_image)

    def read(self, source: str, message: bytes) -> tuple[int, bytes]:
        """Return the stamp of a message from outside, ns, and the message with it.

        Raises BadMessageError if there is none.
        """
        arrived = self._now()
        check = self._checks.get(source)
        if check is None:  # the first one on the stage's own topic, which few use
            check = self._checks[source] = self._new_check()
        if self._by_arrival:
            stamp_of(message, zero_is_valid=True)
            stamp = self._next_arrival(source, arrived)
            message = with_stamp(message, stamp)
        else:
            try:
                stamp = stamp_of(message)
            except NoStampError as error:
                check.note_zero()
                remedy = f'or {self._stage}.stamps: arrival, which stamps messages at their arrival'
                raise BadMessageError(f'{error}, {remedy}') from None
            if self._offset:
                stamp += self._offset
                message = with_stamp(message, stamp)
        if arrived is not None:
            check.note(stamp, arrived)
        return stamp, message

    def _now(self) -> int | None:
        """Return the ROS time, ns; None if ``/clock`` has not shown any yet."""
        if not self._ros_time.is_simulated:
            return time.time_ns()
        return self._ros_time.time if self._ros_time.is_known else None

    def _next_arrival(self, source: str, arrived: int | None) -> int:
        """Return a stamp for a message that arrives now: each is later than the one before."""
        if arrived is None:
            raise BadMessageError(
                'found no time of arrival, as use_sim_time is true; allowed: one after the first '
                'message on /clock'
            )
        last = self._last.get(source, 0)
        stamp = max(arrived + self._offset, 1)
        if last - SET_BACK < stamp <= last:
            stamp = last + 1
        self._last[source] = stamp
        return stamp

    def look(self) -> list[tuple[str, StampFinding]]:
        """Return what has newly been found, by input, with what to do about it in words."""
        clocks = Clocks(time.monotonic_ns(), self._ros_time.is_simulated)
        found = []
        for source, check in self._checks.items():
            finding = check.look(clocks)
            if finding is not None and not self._by_arrival:
                found.append((source, finding))
        return found

    def remedy(self, finding: StampFinding) -> str:
        """Return what to do about a finding, to be appended to its text; '' for nothing."""
        return REMEDIES.get(finding.kind, '').format(stage=self._stage)

    def notes(self) -> tuple[str, ...]:
        """Return what is wrong with the stamps."""
        if self._by_arrival:
            return ()
        return tuple(
            f'{source}: {check.finding.text}'
            for source, check in self._checks.items()
            if check.finding.is_warning
        )

    def values(self) -> dict[str, Any]:
        """Return the figures of each input for ``/diagnostics``."""
        return {
            f'{source}.{key}': value
            for source, check in self._checks.items()
            for key, value in _values(check, by_arrival=self._by_arrival).items()
        }


def _values(check: StampCheck, *, by_arrival: bool) -> dict[str, Any]:
    rate = check.rate
    finding = check.finding
    return {
        'rate_hz': f'{rate.rate:.2f}',
        'period_jitter_ms': f'{rate.jitter / 1e6:.2f}',
        'gaps': rate.gaps,
        'missing': rate.missing,
        'stamps': ARRIVAL if by_arrival else finding.text or finding.kind.value,
        'stamp_offset_ms': '' if by_arrival else _milliseconds(check.offset),
        'stamp_jitter_ms': '' if by_arrival else _milliseconds(check.jitter),
    }


def _milliseconds(nanoseconds: float | None) -> str:
    return '' if nanoseconds is None else f'{nanoseconds / 1e6:.2f}'
