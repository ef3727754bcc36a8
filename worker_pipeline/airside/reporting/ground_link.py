"""What is said between us and the ground: MAVLink 2, by the command protocol.

It knows no link and no clock: bytes go in, and bytes come out.
"""

from __future__ import annotations

from typing import Any

import attrs

from worker_pipeline.airside.mavlink.packing import packed
from worker_pipeline.airside.mavlink.parser import MessageParser
from worker_pipeline.airside.reporting.ground_delivery import WINDOW, TargetMessage, TextMessage
from worker_pipeline.airside.reporting.target_report import Report


@attrs.frozen
class Heard:
    """A sign of life of the ground's."""


@attrs.frozen
class Acknowledged:
    """The ground's answer to a target. ``accepted``: whether it has any use for it."""

    sequence: int
    accepted: bool


Event = Heard | Acknowledged


@attrs.frozen
class Addresses:
    """Who talks to whom: MAVLink system and component numbers."""

    system: int = 1
    component: int = 191  # an onboard computer
    ground_system: int = 255
    ground_component: int = 190  # the ground station itself


class GroundProtocol:
    """Our side of the talk with a ground station.

    A target is a COMMAND_INT with MAV_CMD_SPATIAL_USER_1 to _5, the commands for places of one's
    own, which is acknowledged by COMMAND_ACK. An acknowledgement tells the command, and nothing
    else: so the five take turns, and a late one is not taken for the next one's. param1: the
    target's number; param2: its label; param3: deviation of its place, m; param4: sightings, 0 if
    it was withdrawn. x y: degrees * 1e7; z: m, above the origin. A text is a STATUSTEXT.
    """

    def __init__(self, addresses: Addresses) -> None:
        from pymavlink.dialects.v20 import common

        self._mavlink: Any = common
        self._addresses = addresses
        self._writer = common.MAVLink(
            None, srcSystem=addresses.system, srcComponent=addresses.component
        )
        self._parser = MessageParser()
        self._other_systems = 0

    @property
    def counts(self) -> dict[str, int]:
        """How often what was heard that is of no use."""
        return {
            'bad_bytes': self._parser.bad_bytes,
            'bad_frames': self._parser.bad_frames,
            'other_systems': self._other_systems,
        }

    def begin(self) -> None:
        """Another link is there: half a message is not continued."""
        self._parser.forget()

    def heartbeat(self) -> bytes:
        """Our sign of life."""
        mavlink = self._mavlink
        return packed(
            self._writer,
            self._writer.heartbeat_encode(
                mavlink.MAV_TYPE_ONBOARD_CONTROLLER,
                mavlink.MAV_AUTOPILOT_INVALID,
                0,
                0,
                mavlink.MAV_STATE_ACTIVE,
            ),
        )

    def packed(self, message: TargetMessage | TextMessage) -> bytes:
        """A message as it is sent."""
        if isinstance(message, TextMessage):
            text = message.text.encode('ascii', 'replace')
            encode = self._writer.statustext_encode
            return packed(self._writer, encode(self._mavlink.MAV_SEVERITY_INFO, text))
        return packed(self._writer, self._command(message.sequence, message.report))

    def received(self, data: bytes) -> list[Event]:
        """What the ground said in these bytes; all else is counted and passed over."""
        events = []
        for message in self._parser.feed(data):
            if message.get_srcSystem() != self._addresses.ground_system:
                self._other_systems += 1
                continue
            event = self._event(message)
            if event is not None:
                events.append(event)
        return events

    def _event(self, message: Any) -> Event | None:
        kind = message.get_type()
        if kind == 'HEARTBEAT':
            return Heard()
        if kind != 'COMMAND_ACK' or not self._is_for_us(message):
            return None
        sequence = message.command - self._mavlink.MAV_CMD_SPATIAL_USER_1
        passing = (
            self._mavlink.MAV_RESULT_IN_PROGRESS,
            self._mavlink.MAV_RESULT_TEMPORARILY_REJECTED,
        )
        if not 0 <= sequence < WINDOW or message.result in passing:
            return None
        return Acknowledged(sequence, message.result == self._mavlink.MAV_RESULT_ACCEPTED)

    def _is_for_us(self, message: Any) -> bool:
        systems, components = (0, self._addresses.system), (0, self._addresses.component)
        return message.target_system in systems and message.target_component in components

    def _command(self, sequence: int, report: Report) -> Any:
        return self._writer.command_int_encode(
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
