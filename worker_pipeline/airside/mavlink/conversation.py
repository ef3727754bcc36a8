"""Our side of the talk with an autopilot: bytes in, bytes out, and the states it told of.

It knows no link and no clock: times (ns, of a clock that never jumps) are passed in.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import attrs

from worker_pipeline.airside.mavlink.parser import MessageParser
from worker_pipeline.airside.mavlink.telemetry import (
    ATTITUDES,
    POSITIONS,
    GeoPoint,
    Telemetry,
    Timed,
    UnusableError,
)
from worker_pipeline.airside.mavlink.vehicle_clock import SECONDS, VehicleClock

HEARTBEAT_PERIOD = 1 * SECONDS
# The first questions for the time come faster, so that the clock is known soon.
_TIMESYNC_PERIOD, _FIRST_TIMESYNCS, _FIRST_TIMESYNC_PERIOD = SECONDS, 10, SECONDS // 10
_QUESTIONS_KEPT = 16
# Messages that do not come as often as wanted are asked for again after so long.
_REQUEST_PERIOD = 2 * SECONDS
# A message that comes at this share of the rate wanted is left as it is.
_OFTEN_ENOUGH = 0.6
# GLOBAL_POSITION_INT is needed as often as the others only where nothing else tells the position.
_SELDOM = 5.0  # 1/s
_RATE_WINDOW = 2 * SECONDS


@attrs.frozen
class Parties:
    """Who talks: MAVLink's numbers of systems and components. ``vehicle`` 0: whoever is first."""

    vehicle: int = 1
    own_system: int = 1
    own_component: int = 191  # an onboard computer


class Conversation:
    """Says what is to be said, and understands what is heard.

    ``rate``: 1/s, how often the vehicle is asked to tell; 0: it is asked for nothing. ``counts``:
    what was heard that cannot be used, by name.
    """

    def __init__(
        self, parties: Parties, telemetry: Telemetry, clock: VehicleClock, wanted: dict[str, float]
    ) -> None:
        from pymavlink.dialects.v20 import common

        self._common = common
        self._outbox = _Outbox()
        self._mavlink = common.MAVLink(self._outbox, parties.own_system, parties.own_component)
        self._parser = MessageParser()
        self._parties = parties
        self._vehicle: tuple[int, int] | None = (
            (parties.vehicle, common.MAV_COMP_ID_AUTOPILOT1) if parties.vehicle else None
        )
        self._telemetry = telemetry
        self.clock = clock
        self._wanted = wanted
        self._ids = {each: _id_of(common, each) for each in wanted}
        self._heard: dict[str, list[int]] = {}
        self._counts: Counter[str] = Counter()
        self.newest: Timed | None = None
        self.last_heard: int | None = None  # when the vehicle was
        self._questions: dict[int, None] = {}  # sent, and not answered yet
        self._asked = 0
        self._next_heartbeat = self._next_timesync = self._next_request = 0

    @property
    def home(self) -> GeoPoint | None:
        """The vehicle's home, as soon as it has told."""
        return self._telemetry.home

    @property
    def source(self) -> str:
        """The message that positions come from now; empty without any."""
        return self._telemetry.source

    @property
    def counts(self) -> dict[str, int]:
        """How often what was heard that could not be used."""
        parser = self._parser
        return {
            **self._counts,
            'bad_bytes': parser.bad_bytes,
            'bad_frames': parser.bad_frames,
            'clock_jumps': self.clock.jumps,
        }

    def begin(self) -> None:
        """A link is there: all is asked for anew, and half a message is not continued."""
        self._parser.forget()
        self._next_heartbeat = self._next_timesync = self._next_request = 0
        self._questions.clear()
        self._asked = 0

    def received(self, data: bytes, now: int) -> None:
        """Bytes have come."""
        for message in self._parser.feed(data):
            sender = message.get_srcSystem(), message.get_srcComponent()
            if self._vehicle is None and self._is_autopilot(message):
                self._vehicle = sender
            if sender == self._vehicle:
                self._understand(message, now)
            elif sender[0] != (self._vehicle or sender)[0]:
                self._counts['other_systems'] += 1

    def to_say(self, now: int) -> bytes:
        """What is to be sent now."""
        if now >= self._next_heartbeat:
            self._next_heartbeat = now + HEARTBEAT_PERIOD
            self._mavlink.heartbeat_send(
                self._common.MAV_TYPE_ONBOARD_CONTROLLER,
                self._common.MAV_AUTOPILOT_INVALID,
                0,
                0,
                self._common.MAV_STATE_ACTIVE,
            )
        if now >= self._next_timesync:
            first = self._asked < _FIRST_TIMESYNCS
            self._next_timesync = now + (_FIRST_TIMESYNC_PERIOD if first else _TIMESYNC_PERIOD)
            self._asked += 1
            self._questions[now] = None
            if len(self._questions) > _QUESTIONS_KEPT:
                del self._questions[next(iter(self._questions))]
            self._mavlink.timesync_send(0, now)
        if now >= self._next_request and self._vehicle is not None:
            self._next_request = now + _REQUEST_PERIOD
            self._request(now)
        return self._outbox.take()

    # -- what is heard ---------------------------------------------------------------------------

    def _is_autopilot(self, message: Any) -> bool:
        return bool(
            message.get_type() == 'HEARTBEAT'
            and message.autopilot != self._common.MAV_AUTOPILOT_INVALID
        )

    def _understand(self, message: Any, now: int) -> None:
        self.last_heard = now
        kind = message.get_type()
        if kind in self._wanted:
            self._note(kind, now)
        try:
            if kind == 'TIMESYNC':
                self._on_timesync(message, now)
            else:
                self._telemetry.learn(message)
                self._on_telemetry(message, now)
        except UnusableError as error:
            self._counts[str(error)] += 1

    def _on_timesync(self, message: Any, now: int) -> None:
        if message.tc1 > 0 and message.ts1 in self._questions:
            del self._questions[message.ts1]
            self._watching_the_clock(lambda: self.clock.answered(message.ts1, message.tc1, now))

    def _on_telemetry(self, message: Any, now: int) -> None:
        if message.get_type() not in (*POSITIONS, *ATTITUDES):
            return
        time = self._telemetry.time_of(message)
        if time is None:
            raise UnusableError('time_not_known')
        if not self._watching_the_clock(lambda: self.clock.heard(time, now)):
            raise UnusableError('time_not_plausible')
        state = self._telemetry.take(message, time)
        if state is not None:
            self.newest = state

    def _watching_the_clock(self, use: Any) -> Any:
        """Do something with the clock; where it has jumped, what was known before is of no use."""
        jumps = self.clock.jumps
        result = use()
        if self.clock.jumps != jumps:
            self._telemetry.forget()
            self.newest = None
            self._heard.clear()
            self._next_request = 0
            self._asked = 0
        return result

    # -- what is asked for -----------------------------------------------------------------------

    def _note(self, kind: str, now: int) -> None:
        times = self._heard.setdefault(kind, [])
        times.append(now)
        while times[0] < now - _RATE_WINDOW:
            del times[0]

    def _comes(self, kind: str, rate: float, now: int) -> bool:
        """Whether a message comes about as often as it is wanted."""
        times = [each for each in self._heard.get(kind, ()) if each >= now - _RATE_WINDOW]
        return len(times) >= _OFTEN_ENOUGH * rate * _RATE_WINDOW / SECONDS

    def _request(self, now: int) -> None:
        for kind, rate in self._wanted.items():
            if not self._comes(kind, rate, now):
                interval = 1e6 / rate
                self._command(self._common.MAV_CMD_SET_MESSAGE_INTERVAL, self._ids[kind], interval)
        if self.home is None and self._wanted:
            for kind in ('HOME_POSITION', 'GPS_GLOBAL_ORIGIN'):
                self._command(self._common.MAV_CMD_REQUEST_MESSAGE, _id_of(self._common, kind), 0.0)

    def _command(self, command: int, first: float, second: float) -> None:
        assert self._vehicle is not None
        self._mavlink.command_long_send(*self._vehicle, command, 0, first, second, 0, 0, 0, 0, 0)


def messages_wanted(rate: float, position_from: str) -> dict[str, float]:
    """The messages to ask for and how often (1/s), for a position from one of ``POSITIONS``."""
    if rate <= 0:
        return {}
    if position_from == 'ODOMETRY':
        return {'ODOMETRY': rate}
    if position_from in POSITIONS:
        return {'ATTITUDE_QUATERNION': rate, position_from: rate}
    return {
        'ODOMETRY': rate,
        'ATTITUDE_QUATERNION': rate,
        'LOCAL_POSITION_NED': rate,
        'GLOBAL_POSITION_INT': min(rate, _SELDOM),
    }


class _Outbox:
    """What pymavlink writes to."""

    def __init__(self) -> None:
        self._data = bytearray()

    def write(self, data: bytes) -> None:
        self._data += data

    def take(self) -> bytes:
        data = bytes(self._data)
        self._data.clear()
        return data


def _id_of(common: Any, kind: str) -> int:
    return int(getattr(common, f'MAVLINK_MSG_ID_{kind}'))
