"""The link to the ground: MAVLink 2, by the command protocol."""

from __future__ import annotations

import contextlib
import re
import select
import socket
import time
from collections.abc import Iterator
from typing import Any, Protocol

import attrs

from worker_pipeline.airside.ground_delivery import WINDOW, TargetMessage, TextMessage
from worker_pipeline.airside.target_report import Report

_CONNECTION = re.compile(r'(udpin|udpout):[^:\s]+:(\d{1,5})')
_HEARTBEAT_PERIOD = 1.0  # s, as the protocol wants it
_LONGEST = 65536  # bytes, of a datagram


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
    """A :class:`GroundLink` by UDP and pymavlink.

    A target is a COMMAND_INT with MAV_CMD_SPATIAL_USER_1 to _5, the commands for places of one's
    own, which is acknowledged by COMMAND_ACK. An acknowledgement tells the command, and nothing
    else: so the five take turns, and a late one is not taken for the next one's. param1: the
    target's number; param2: its label; param3: deviation of its place, m; param4: sightings, 0 if
    it was withdrawn. x y: degrees * 1e7; z: m, above the origin. A text is a STATUSTEXT.
    """

    def __init__(self, connection: str, addresses: Addresses) -> None:
        """Open a socket. OSError if that cannot be done now, ValueError if it never can."""
        check_connection(connection)
        from pymavlink.dialects.v20 import common

        way, host, port = connection.split(':')
        host = socket.gethostbyname(host)
        self._mavlink: Any = common
        self._addresses = addresses
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        # Whom we write to: where we listen, whoever wrote to us last.
        self._ground: Any = None
        if way == 'udpout':
            self._ground = (host, int(port))
        else:
            try:
                self._socket.bind((host, int(port)))
            except OSError:
                self._socket.close()
                raise
        self._writer = common.MAVLink(
            None, srcSystem=addresses.system, srcComponent=addresses.component
        )
        self._reader = common.MAVLink(None)
        self._reader.robust_parsing = True  # what is garbage is passed over
        self._next_heartbeat = 0.0

    def send(self, message: TargetMessage | TextMessage) -> None:
        """Send."""
        if isinstance(message, TextMessage):
            text = message.text.encode('ascii', 'replace')
            encode = self._writer.statustext_encode
            self._write(encode(self._mavlink.MAV_SEVERITY_INFO, text))
        else:
            self._send_target(message.sequence, message.report)

    def receive(self, timeout: float) -> list[Event]:
        """What has come, after ``timeout`` s at the latest; and a heartbeat, when it is time."""
        now = time.monotonic()
        if now >= self._next_heartbeat:
            self._next_heartbeat = now + _HEARTBEAT_PERIOD
            self._send_heartbeat()
        wait = max(0.0, min(timeout, self._next_heartbeat - now))
        select.select([self._socket], [], [], wait)
        return list(self._events())

    def close(self) -> None:
        """Close its socket."""
        self._socket.close()

    def _write(self, message: Any) -> None:
        if self._ground is None:
            return  # nobody has called yet
        # A full buffer or an unreachable host is a lost message, as any other.
        with contextlib.suppress(OSError):
            self._socket.sendto(message.pack(self._writer), self._ground)
        self._writer.seq = (self._writer.seq + 1) % 256

    def _messages(self) -> Iterator[Any]:
        while True:
            try:
                data, sender = self._socket.recvfrom(_LONGEST)
            except BlockingIOError:
                return
            messages = self._reader.parse_buffer(data) or []
            if any(self._is_from_ground(each) for each in messages):
                self._ground = sender
            yield from messages

    def _is_from_ground(self, message: Any) -> bool:
        """Whether it is; what is no message at all is from nobody."""
        return bool(message.get_srcSystem() == self._addresses.ground_system)

    def _events(self) -> Iterator[Event]:
        for message in self._messages():
            if not self._is_from_ground(message):
                continue
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
        self._write(
            self._writer.heartbeat_encode(
                mavlink.MAV_TYPE_ONBOARD_CONTROLLER,
                mavlink.MAV_AUTOPILOT_INVALID,
                0,
                0,
                mavlink.MAV_STATE_ACTIVE,
            )
        )

    def _send_target(self, sequence: int, report: Report) -> None:
        self._write(
            self._writer.command_int_encode(
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
        )
