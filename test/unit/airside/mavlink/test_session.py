# SPDX-License-Identifier: Apache-2.0
"""Our side of the protocol, with a simulated autopilot and without a link."""

from __future__ import annotations

import math
import random

import pytest
from pymavlink.dialects.v20 import common
from support.autopilots import (
    STEADY,
    Talk,
    assert_increasing,
    assert_true,
    autopilot,
    session,
)

from worker_pipeline.airside.mavlink.parser import MessageParser
from worker_pipeline.airside.mavlink.session import MavlinkIds
from worker_pipeline.airside.mavlink.vehicle_clock import SECONDS
from worker_pipeline.airside.simulation.lossy_link import LinkQuality

SOURCES = ('auto', 'ODOMETRY', 'LOCAL_POSITION_NED', 'GLOBAL_POSITION_INT')


def heartbeat(system, component=1, autopilot_kind=common.MAV_AUTOPILOT_PX4):
    sender = common.MAVLink(None, system, component)
    message = common.MAVLink_heartbeat_message(2, autopilot_kind, 0, 0, 0, 3)
    return bytes(message.pack(sender))


def sent_messages(talk, kind):
    return [each for each in MessageParser().feed(talk.sent) if each.get_type() == kind]


@pytest.mark.slow
@pytest.mark.parametrize('position_from', SOURCES)
def test_the_states_are_those_of_the_flight(position_from):
    """At its stamps, fifty times per second, from whichever messages."""
    talk = Talk(autopilot(), session(position_from)).run(1.0)
    del talk.states[:]
    talk.run(2.0)
    assert len(talk.states) >= 95
    assert_true(talk.states)
    assert_increasing(talk.states)
    assert talk.ours.source == ('ODOMETRY' if position_from == 'auto' else position_from)
    assert talk.ours.home.latitude == pytest.approx(44.95936602, abs=1e-7)


@pytest.mark.slow
def test_a_bad_link_loses_messages_but_not_accuracy():
    """Delayed by 30 ms and more, one in twenty lost, and all of them for a second every ten."""
    bad = LinkQuality(latency=0.03, jitter=0.02, loss=0.05, dropouts=6.0)
    talk = Talk(autopilot(quality=bad), session('LOCAL_POSITION_NED')).run(2.0)
    del talk.states[:]
    talk.run(10.0)
    assert_true(talk.states, metres=0.3, radians=0.01)
    assert_increasing(talk.states)
    assert len(talk.states) > 200


@pytest.mark.slow
def test_messages_that_arrive_are_not_requested_again():
    talk = Talk(autopilot(quality=LinkQuality(loss=0.0)), session()).run(8.0)
    requested = [each.param1 for each in sent_messages(talk, 'COMMAND_LONG') if each.command == 511]
    assert sorted(requested) == sorted(set(requested))
    assert len(sent_messages(talk, 'HEARTBEAT')) == 8
    assert {(each.type, each.get_srcComponent()) for each in sent_messages(talk, 'HEARTBEAT')} == {
        (18, 191)
    }


def test_nothing_is_requested_at_rate_0():
    """Messages that arrive are used all the same."""
    talk = Talk(autopilot(), session(rate=0.0)).run(3.0)
    assert sent_messages(talk, 'COMMAND_LONG') == []
    assert 8 <= len(talk.states) <= 12
    assert_true(talk.states, metres=0.1, radians=0.005, speed=1.0)


@pytest.mark.slow
def test_a_reboot_in_flight_is_survived():
    """It is counted, the messages are requested again, and the stamps continue."""
    talk = Talk(autopilot(), session()).run(3.0)
    before = len(sent_messages(talk, 'COMMAND_LONG'))
    talk.vehicle = autopilot(uptime=2.0, at=3.0)
    talk.run(1.0)
    assert talk.ours.counts['clock_jumps'] == 1
    assert talk.ours.counts['time_not_plausible'] >= 1
    assert len(sent_messages(talk, 'COMMAND_LONG')) >= before + 3
    after = len(talk.states)
    talk.run(2.0)
    assert len(talk.states) - after >= 95
    assert_true(talk.states)
    assert_increasing(talk.states)


@pytest.mark.slow
def test_messages_of_other_systems_are_ignored():
    """So are those of other components of the vehicle."""
    ours = session()
    other = autopilot(system_id=9)
    talk = Talk(other, ours).run(1.0)
    assert talk.states == []
    assert ours.counts['other_systems'] > 5
    assert ours.last_received is None
    ours.receive_data(heartbeat(1, component=100), STEADY)
    assert ours.last_received is None


@pytest.mark.slow
def test_with_system_id_0_the_first_autopilot_is_the_vehicle():
    """A ground station is not the vehicle."""
    ours = session(ids=MavlinkIds(vehicle=0))
    ours.receive_data(heartbeat(255, 190, common.MAV_AUTOPILOT_INVALID), STEADY)
    talk = Talk(autopilot(system_id=9), ours).run(3.0)
    assert len(talk.states) > 90
    ours.receive_data(heartbeat(10), STEADY + 4 * SECONDS)
    assert ours.counts['other_systems'] == 1


def test_non_finite_values_are_counted():
    ours = session()
    sender = common.MAVLink(None, 1, 1)
    message = common.MAVLink_attitude_quaternion_message(1000, math.nan, 0, 0, 0, 0, 0, 0)
    ours.receive_data(bytes(message.pack(sender)), STEADY)
    assert ours.counts['not_finite'] == 1
    assert ours.newest is None


@pytest.mark.slow
def test_an_unrequested_timesync_answer_changes_nothing():
    """A TIMESYNC answer to another system, and a duplicate."""
    talk = Talk(autopilot(), session()).run(2.0)
    before = talk.ours.clock.snapshot()
    sender = common.MAVLink(None, 1, 1)
    forged = common.MAVLink_timesync_message(99 * SECONDS, STEADY - 5)
    talk.ours.receive_data(bytes(forged.pack(sender)), STEADY + talk.elapsed)
    assert talk.ours.clock.snapshot() == before


@pytest.mark.slow
@pytest.mark.parametrize('seed', range(5))
def test_garbage_on_the_link_is_survived(seed):
    """Bytes changed, removed and inserted in a third of the messages."""
    chance = random.Random(seed)

    def spoiled(data):
        bad = bytearray(data)
        for _ in range(chance.randrange(4)):
            at = chance.randrange(len(bad) + 1)
            bad[at : at + chance.randrange(3)] = chance.randbytes(chance.randrange(12))
        return bytes(bad) if chance.random() < 0.33 else data

    talk = Talk(autopilot(quality=LinkQuality(loss=0.0)), session())
    talk.corrupt = spoiled
    talk.run(1.0)
    del talk.states[:]
    talk.run(2.0)
    assert talk.ours.counts['bad_bytes'] > 0
    assert len(talk.states) > 30
    assert_true(talk.states)
    assert_increasing(talk.states)
