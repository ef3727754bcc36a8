# SPDX-License-Identifier: Apache-2.0
"""The protocol with the ground, without a link."""

from __future__ import annotations

import random

import pytest
from targets import cloud

pytest.importorskip('pymavlink')

from pymavlink.dialects.v20 import common

from worker_pipeline.airside.mavlink.parser import MessageParser
from worker_pipeline.airside.reporting.ground_delivery import WINDOW, TargetMessage, TextMessage
from worker_pipeline.airside.reporting.ground_link import (
    Acknowledged,
    GroundHeartbeat,
    GroundLinkIds,
    GroundProtocol,
)
from worker_pipeline.airside.reporting.target_report import ReportStore

US = GroundLinkIds(system=3, component=191, ground_system=250, ground_component=190)


@pytest.fixture
def protocol():
    return GroundProtocol(US)


def encoded(message, system=US.ground_system):
    """Return a message as the ground, or another system, sends it."""
    return bytes(message.pack(common.MAVLink(None, srcSystem=system, srcComponent=190)))


def heartbeat(system=US.ground_system):
    return encoded(common.MAVLink_heartbeat_message(6, 8, 0, 0, 4, 3), system)


def answer(command, result=common.MAV_RESULT_ACCEPTED, system=3, component=191):
    return encoded(common.MAVLink_command_ack_message(command, result, 0, 0, system, component))


def parsed(data):
    """Return the messages that another parser finds."""
    return MessageParser().feed(data)


def test_a_target_is_a_command_to_the_ground_station(protocol):
    store = ReportStore(1.0)
    store.update(cloud((7, 50.0, 0.0)), 1)
    for sequence in range(WINDOW):
        (command,) = parsed(protocol.encode(TargetMessage(sequence, store.reports[0])))
        assert command.command == common.MAV_CMD_SPATIAL_USER_1 + sequence
        assert (command.get_srcSystem(), command.get_srcComponent()) == (3, 191)
        assert (command.target_system, command.target_component) == (250, 190)
        assert (command.param1, command.param2, command.param4) == (1, 7, 3)
        assert (command.x, command.y) == (449600000, round(-110.64e7 + 50 * 127))
        assert command.get_seq() == sequence


def test_a_text_is_ascii(protocol):
    (text,) = parsed(protocol.encode(TextMessage('marker 7: 44° here')))
    assert text.text == 'marker 7: 44? here'


def test_the_heartbeat_is_that_of_an_onboard_computer(protocol):
    (ours,) = parsed(protocol.heartbeat())
    assert (ours.type, ours.autopilot) == (
        common.MAV_TYPE_ONBOARD_CONTROLLER,
        common.MAV_AUTOPILOT_INVALID,
    )


def test_heartbeats_and_acknowledgements_of_the_ground_are_parsed(protocol):
    first, last = common.MAV_CMD_SPATIAL_USER_1, common.MAV_CMD_SPATIAL_USER_5
    data = heartbeat() + answer(first) + answer(last, common.MAV_RESULT_UNSUPPORTED)
    expected = [GroundHeartbeat(), Acknowledged(0, True), Acknowledged(WINDOW - 1, False)]
    assert protocol.receive_data(data) == expected
    assert [event for byte in data for event in protocol.receive_data(bytes([byte]))] == expected


@pytest.mark.parametrize(
    'passed_over',
    [
        answer(common.MAV_CMD_SPATIAL_USER_1, common.MAV_RESULT_IN_PROGRESS),
        answer(common.MAV_CMD_SPATIAL_USER_1, common.MAV_RESULT_TEMPORARILY_REJECTED),
        answer(common.MAV_CMD_SPATIAL_USER_1, system=4),
        answer(common.MAV_CMD_SPATIAL_USER_1, component=1),
        answer(common.MAV_CMD_SPATIAL_USER_5 + 1),
        answer(0),
        answer(65535, 255),
    ],
    ids=['going on', 'not now', 'other system', 'other component', 'next', 'none', 'absurd'],
)
def test_other_acknowledgements_are_ignored(protocol, passed_over):
    assert protocol.receive_data(passed_over) == []


def test_messages_of_other_systems_are_counted(protocol):
    assert protocol.receive_data(heartbeat(1) + heartbeat() + heartbeat(2)) == [GroundHeartbeat()]
    assert protocol.counts['other_systems'] == 2


def test_garbage_and_damage_are_counted_and_lose_no_other_message(protocol):
    damaged = bytearray(heartbeat())
    damaged[10] ^= 0x01
    noise = bytes(random.Random(1).choices(range(256), k=100_000))
    data = noise + heartbeat() * 20 + bytes(damaged) + heartbeat() * 20
    # Noise that looks like the start of a message delays the messages until its supposed end.
    assert protocol.receive_data(data + bytes(300)) == [GroundHeartbeat()] * 40
    assert protocol.counts['bad_bytes'] >= 100_000
    assert protocol.counts['bad_frames'] > 0


def test_a_partial_message_is_dropped_on_a_new_link(protocol):
    protocol.receive_data(heartbeat()[:5])
    protocol.reset()
    assert protocol.receive_data(heartbeat()) == [GroundHeartbeat()]
    assert protocol.counts['bad_bytes'] == 5
