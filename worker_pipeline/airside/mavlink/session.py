# SPDX-License-Identifier: Apache-2.0
"""Our side of the protocol with an autopilot: bytes in, bytes out, and the states received.

It has no link and no clock: times (ns, of a steady clock) are passed in.
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
    TimedState,
    UnusableError,
)
from worker_pipeline.airside.mavlink.vehicle_clock import SECONDS, VehicleClock

HEARTBEAT_PERIOD = 1 * SECONDS
# The first TIMESYNC requests are sent faster, so that the clock is estimated soon.
_TIMESYNC_PERIOD, _FIRST_TIMESYNCS, _FIRST_TIMESYNC_PERIOD = SECONDS, 10, SECONDS // 10
_MAX_PENDING_TIMESYNCS = 16
# A message that arrives too seldom is requested again after this time.
_REQUEST_PERIOD = 2 * SECONDS
# A message that arrives at this share of the requested rate is not requested again.
_OFTEN_ENOUGH = 0.6
# GLOBAL_POSITION_INT is needed at the full rate only if nothing else gives the position.
_REDUCED_RATE = 5.0  # 1/s
_RATE_WINDOW = 2 * SECONDS


@attrs.frozen
class MavlinkIds:
    """MAVLink system and component ids. ``vehicle``: 0 for the first autopilot received."""

    vehicle: int = 1
    own_system: int = 1
    own_component: int = 191  # an onboard computer


class MavlinkSession:
    """Creates the messages to send, and handles those received.

    Args:
        ids: System and component ids.
        telemetry: Assembles states from messages.
        clock: Estimates the vehicle's clock.
        wanted: Rates (1/s) of the messages to request.
    """

    def __init__(
        self, ids: MavlinkIds, telemetry: Telemetry, clock: VehicleClock, wanted: dict[str, float]
    ) -> None:
        from pymavlink.dialects.v20 import common

        self._common = common
        self._outbox = _Outbox()
        self._mavlink = common.MAVLink(self._outbox, ids.own_system, ids.own_component)
        self._parser = MessageParser()
        self._ids = ids
        self._vehicle: tuple[int, int] | None = (
            (ids.vehicle, common.MAV_COMP_ID_AUTOPILOT1) if ids.vehicle else None
        )
        self._telemetry = telemetry
        self.clock = clock
        self._wanted = wanted
        self._message_ids = {each: _id_of(common, each) for each in wanted}
        self._arrivals: dict[str, list[int]] = {}
        self._counts: Counter[str] = Counter()
        self.newest: TimedState | None = None
        self.last_received: int | None = None  # time of the last message of the vehicle
        self._pending_timesyncs: dict[int, None] = {}  # sent and not answered yet
        self._timesyncs_sent = 0
        self._next_heartbeat = self._next_timesync = self._next_request = 0

    @property
    def home(self) -> GeoPoint | None:
        """Return the vehicle's home, once it is known."""
        return self._telemetry.home

    @property
    def source(self) -> str:
        """Return the message that positions are taken from now; empty if there is none."""
        return self._telemetry.source

    @property
    def counts(self) -> dict[str, int]:
        """Return the counters of unusable input, by reason."""
        parser = self._parser
        return {
            **self._counts,
            'bad_bytes': parser.bad_bytes,
            'bad_frames': parser.bad_frames,
            'clock_jumps': self.clock.jumps,
        }

    def reset(self) -> None:
        """Start on a new link: request everything again and drop an incomplete message."""
        self._parser.reset()
        self._next_heartbeat = self._next_timesync = self._next_request = 0
        self._pending_timesyncs.clear()
        self._timesyncs_sent = 0

    def receive_data(self, data: bytes, now: int) -> None:
        """Handle received bytes."""
        for message in self._parser.feed(data):
            sender = message.get_srcSystem(), message.get_srcComponent()
            if self._vehicle is None and self._is_autopilot(message):
                self._vehicle = sender
            if sender == self._vehicle:
                self._handle(message, now)
            elif sender[0] != (self._vehicle or sender)[0]:
                self._counts['other_systems'] += 1

    def data_to_send(self, now: int) -> bytes:
        """Return the bytes to send now."""
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
            first = self._timesyncs_sent < _FIRST_TIMESYNCS
            self._next_timesync = now + (_FIRST_TIMESYNC_PERIOD if first else _TIMESYNC_PERIOD)
            self._timesyncs_sent += 1
            self._pending_timesyncs[now] = None
            if len(self._pending_timesyncs) > _MAX_PENDING_TIMESYNCS:
                del self._pending_timesyncs[next(iter(self._pending_timesyncs))]
            self._mavlink.timesync_send(0, now)
        if now >= self._next_request and self._vehicle is not None:
            self._next_request = now + _REQUEST_PERIOD
            self._request(now)
        return self._outbox.take()

    # -- received messages -------------------------------------------------------------------------

    def _is_autopilot(self, message: Any) -> bool:
        return bool(
            message.get_type() == 'HEARTBEAT'
            and message.autopilot != self._common.MAV_AUTOPILOT_INVALID
        )

    def _handle(self, message: Any, now: int) -> None:
        self.last_received = now
        kind = message.get_type()
        if kind in self._wanted:
            self._record_arrival(kind, now)
        try:
            if kind == 'TIMESYNC':
                self._on_timesync(message, now)
            else:
                self._telemetry.update(message)
                self._on_telemetry(message, now)
        except UnusableError as error:
            self._counts[str(error)] += 1

    def _on_timesync(self, message: Any, now: int) -> None:
        if message.tc1 > 0 and message.ts1 in self._pending_timesyncs:
            del self._pending_timesyncs[message.ts1]
            self._with_jump_check(lambda: self.clock.add_timesync(message.ts1, message.tc1, now))

    def _on_telemetry(self, message: Any, now: int) -> None:
        if message.get_type() not in (*POSITIONS, *ATTITUDES):
            return
        time = self._telemetry.time_of(message)
        if time is None:
            raise UnusableError('time_not_known')
        if not self._with_jump_check(lambda: self.clock.add_message(time, now)):
            raise UnusableError('time_not_plausible')
        state = self._telemetry.read_state(message, time)
        if state is not None:
            self.newest = state

    def _with_jump_check(self, use: Any) -> Any:
        """Use the clock; if that reveals a jump, drop everything known from before it."""
        jumps = self.clock.jumps
        result = use()
        if self.clock.jumps != jumps:
            self._telemetry.reset()
            self.newest = None
            self._arrivals.clear()
            self._next_request = 0
            self._timesyncs_sent = 0
        return result

    # -- requests ----------------------------------------------------------------------------------

    def _record_arrival(self, kind: str, now: int) -> None:
        times = self._arrivals.setdefault(kind, [])
        times.append(now)
        while times[0] < now - _RATE_WINDOW:
            del times[0]

    def _arrives_often_enough(self, kind: str, rate: float, now: int) -> bool:
        """Return whether a message arrives at about the requested rate."""
        times = [each for each in self._arrivals.get(kind, ()) if each >= now - _RATE_WINDOW]
        return len(times) >= _OFTEN_ENOUGH * rate * _RATE_WINDOW / SECONDS

    def _request(self, now: int) -> None:
        for kind, rate in self._wanted.items():
            if not self._arrives_often_enough(kind, rate, now):
                interval = 1e6 / rate
                self._command(
                    self._common.MAV_CMD_SET_MESSAGE_INTERVAL, self._message_ids[kind], interval
                )
        if self.home is None and self._wanted:
            for kind in ('HOME_POSITION', 'GPS_GLOBAL_ORIGIN'):
                self._command(self._common.MAV_CMD_REQUEST_MESSAGE, _id_of(self._common, kind), 0.0)

    def _command(self, command: int, first: float, second: float) -> None:
        assert self._vehicle is not None
        self._mavlink.command_long_send(*self._vehicle, command, 0, first, second, 0, 0, 0, 0, 0)


def messages_wanted(rate: float, position_from: str) -> dict[str, float]:
    """Return the messages to request and their rates (1/s), for one of ``POSITIONS``."""
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
        'GLOBAL_POSITION_INT': min(rate, _REDUCED_RATE),
    }


class _Outbox:
    """The buffer that pymavlink writes to."""

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
