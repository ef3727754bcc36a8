# SPDX-License-Identifier: Apache-2.0
"""The protocol with the ground: MAVLink 2, commands and acknowledgements.

It has no link and no clock: bytes in, bytes out.
"""

from __future__ import annotations

from typing import Any

import attrs

from worker_pipeline.airside.mavlink.packing import pack_message
from worker_pipeline.airside.mavlink.parser import MessageParser
from worker_pipeline.airside.reporting.ground_delivery import WINDOW, TargetMessage, TextMessage
from worker_pipeline.airside.reporting.target_report import Report


@attrs.frozen
class GroundHeartbeat:
    """A heartbeat of the ground station."""


@attrs.frozen
class Acknowledged:
    """The ground's acknowledgement of a target. ``accepted``: whether it was accepted."""

    sequence: int
    accepted: bool


Event = GroundHeartbeat | Acknowledged


@attrs.frozen
class GroundLinkIds:
    """MAVLink system and component ids of both sides."""

    system: int = 1
    component: int = 191  # an onboard computer
    ground_system: int = 255
    ground_component: int = 190  # the ground station itself


class GroundProtocol:
    """Our side of the protocol with a ground station.

    A target is a COMMAND_INT with MAV_CMD_SPATIAL_USER_1 to _5, the user-defined commands with a
    position, acknowledged by COMMAND_ACK. An acknowledgement contains only the command: the five
    are used in turn, so that a late one is not taken for the next target's. param1: the target's
    number; param2: its label; param3: standard deviation of its position, m; param4: sightings, 0
    if it was withdrawn. x y: degrees * 1e7; z: m, above the origin. A text is a STATUSTEXT.
    """

    def __init__(self, ids: GroundLinkIds) -> None:
        from pymavlink.dialects.v20 import common

        self._mavlink: Any = common
        self._ids = ids
        self._writer = common.MAVLink(None, srcSystem=ids.system, srcComponent=ids.component)
        self._parser = MessageParser()
        self._other_systems = 0

    @property
    def counts(self) -> dict[str, int]:
        """Return the counters of unusable input, by reason."""
        return {
            'bad_bytes': self._parser.bad_bytes,
            'bad_frames': self._parser.bad_frames,
            'other_systems': self._other_systems,
        }

    def reset(self) -> None:
        """Drop an incomplete message: another link begins."""
        self._parser.reset()

    def heartbeat(self) -> bytes:
        """Return a heartbeat of ours."""
        mavlink = self._mavlink
        return pack_message(
            self._writer,
            self._writer.heartbeat_encode(
                mavlink.MAV_TYPE_ONBOARD_CONTROLLER,
                mavlink.MAV_AUTOPILOT_INVALID,
                0,
                0,
                mavlink.MAV_STATE_ACTIVE,
            ),
        )

    def encode(self, message: TargetMessage | TextMessage) -> bytes:
        """Return the bytes of a message."""
        if isinstance(message, TextMessage):
            text = message.text.encode('ascii', 'replace')
            encode = self._writer.statustext_encode
            return pack_message(self._writer, encode(self._mavlink.MAV_SEVERITY_INFO, text))
        return pack_message(self._writer, self._command(message.sequence, message.report))

    def receive_data(self, data: bytes) -> list[Event]:
        """Return the events in received bytes; everything else is counted and ignored."""
        events = []
        for message in self._parser.feed(data):
            if message.get_srcSystem() != self._ids.ground_system:
                self._other_systems += 1
                continue
            event = self._event(message)
            if event is not None:
                events.append(event)
        return events

    def _event(self, message: Any) -> Event | None:
        kind = message.get_type()
        if kind == 'HEARTBEAT':
            return GroundHeartbeat()
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
        systems, components = (0, self._ids.system), (0, self._ids.component)
        return message.target_system in systems and message.target_component in components

    def _command(self, sequence: int, report: Report) -> Any:
        return self._writer.command_int_encode(
            self._ids.ground_system,
            self._ids.ground_component,
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
