"""The link to the ground: MAVLink 2, by the command protocol."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from typing import Any, Protocol

import attrs

from worker_pipeline.airside.ground_delivery import WINDOW, TargetMessage, TextMessage
from worker_pipeline.airside.target_report import Report

_CONNECTION = re.compile(r'(udpin|udpout):[^:\s]+:(\d{1,5})')
_HEARTBEAT_PERIOD = 1.0  # s, as the protocol wants it


@attrs.frozen
class Heard:
    """A sign of life of the ground's."""


@attrs.frozen
class Acknowledged:
    """The ground's answer to a target. ``accepted``: whether it has any use for it."""

    sequence: int
    accepted: bool


Event = Heard | Acknowledged


class GroundLink(Protocol):
    """What is needed of a link. Each may raise OSError: it is broken, and another is to be made."""

    def send(self, message: TargetMessage | TextMessage) -> None:
        """Send."""

    def receive(self, timeout: float) -> list[Event]:
        """What has come, signs of life too; after ``timeout`` s at the latest."""

    def close(self) -> None:
        """Let go of it."""


@attrs.frozen
class Addresses:
    """Who talks to whom: MAVLink system and component numbers."""

    system: int = 1
    component: int = 191  # an onboard computer
    ground_system: int = 255
    ground_component: int = 190  # the ground station itself


def check_connection(connection: str) -> None:
    """ValueError if this is no connection that can be made."""
    found = _CONNECTION.fullmatch(connection)
    if found is None or not 0 < int(found[2]) < 65536:
        raise ValueError(
            f'connection: found {connection!r}; allowed: udpout:HOST:PORT, udpin:HOST:PORT, '
            "or '' for none"
        )


class MavlinkGroundLink:
    """A :class:`GroundLink` by pymavlink.

    A target is a COMMAND_INT with MAV_CMD_SPATIAL_USER_1 to _5, the commands for places of one's
    own, which is acknowledged by COMMAND_ACK. An acknowledgement tells the command, and nothing
    else: so the five take turns, and a late one is not taken for the next one's. param1: the
    target's number; param2: its label; param3: deviation of its place, m; param4: sightings, 0 if
    it was withdrawn. x y: degrees * 1e7; z: m, above the origin. A text is a STATUSTEXT.
    """

    def __init__(self, connection: str, addresses: Addresses) -> None:
        """Open a socket. OSError if that cannot be done now, ValueError if it never can."""
        check_connection(connection)
        os.environ['MAVLINK20'] = '1'
        from pymavlink import mavutil

        mavutil.set_dialect('common')
        self._mavlink: Any = mavutil.mavlink
        self._addresses = addresses
        self._connection: Any = mavutil.mavlink_connection(
            connection,
            source_system=addresses.system,
            source_component=addresses.component,
            dialect='common',
        )
        self._next_heartbeat = 0.0

    def send(self, message: TargetMessage | TextMessage) -> None:
        """Send."""
        if isinstance(message, TextMessage):
            severity = self._mavlink.MAV_SEVERITY_INFO
            self._connection.mav.statustext_send(severity, message.text.encode('ascii', 'replace'))
        else:
            self._send_target(message.sequence, message.report)

    def receive(self, timeout: float) -> list[Event]:
        """What has come, after ``timeout`` s at the latest; and a heartbeat, when it is time."""
        now = time.monotonic()
        if now >= self._next_heartbeat:
            self._next_heartbeat = now + _HEARTBEAT_PERIOD
            self._send_heartbeat()
        self._connection.select(max(0.0, min(timeout, self._next_heartbeat - now)))
        return list(self._events())

    def close(self) -> None:
        """Close its socket."""
        self._connection.close()

    def _events(self) -> Iterator[Event]:
        while True:
            message = self._connection.recv_msg()
            if message is None:
                return
            if message.get_srcSystem() != self._addresses.ground_system:
                continue  # so does what is no message at all
            kind = message.get_type()
            if kind == 'HEARTBEAT':
                yield Heard()
            elif kind == 'COMMAND_ACK' and self._is_for_us(message):
                sequence = message.command - self._mavlink.MAV_CMD_SPATIAL_USER_1
                passing = (
                    self._mavlink.MAV_RESULT_IN_PROGRESS,
                    self._mavlink.MAV_RESULT_TEMPORARILY_REJECTED,
                )
                if 0 <= sequence < WINDOW and message.result not in passing:
                    accepted = message.result == self._mavlink.MAV_RESULT_ACCEPTED
                    yield Acknowledged(sequence, accepted)

    def _is_for_us(self, message: Any) -> bool:
        systems, components = (0, self._addresses.system), (0, self._addresses.component)
        return message.target_system in systems and message.target_component in components

    def _send_heartbeat(self) -> None:
        mavlink = self._mavlink
        self._connection.mav.heartbeat_send(
            mavlink.MAV_TYPE_ONBOARD_CONTROLLER,
            mavlink.MAV_AUTOPILOT_INVALID,
            0,
            0,
            mavlink.MAV_STATE_ACTIVE,
        )

    def _send_target(self, sequence: int, report: Report) -> None:
        self._connection.mav.command_int_send(
            self._addresses.ground_system,
            self._addresses.ground_component,
            self._mavlink.MAV_FRAME_GLOBAL_RELATIVE_ALT,
            self._mavlink.MAV_CMD_SPATIAL_USER_1 + sequence,
            0,
            0,
            float(report.number),
            float(report.label),
            report.deviation,
            0.0 if report.withdrawn else float(report.count),
            round(report.latitude * 1e7),
            round(report.longitude * 1e7),
            report.up,
        )
