"""Our side of the talk, with a simulated autopilot and without any link."""

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
    conversation,
)

from worker_pipeline.airside.mavlink.conversation import Parties
from worker_pipeline.airside.mavlink.parser import MessageParser
from worker_pipeline.airside.mavlink.vehicle_clock import SECONDS
from worker_pipeline.simulation.lossy_link import LinkQuality

SOURCES = ('auto', 'ODOMETRY', 'LOCAL_POSITION_NED', 'GLOBAL_POSITION_INT')


def heartbeat(system, component=1, autopilot_kind=common.MAV_AUTOPILOT_PX4):
    sender = common.MAVLink(None, system, component)
    message = common.MAVLink_heartbeat_message(2, autopilot_kind, 0, 0, 0, 3)
    return bytes(message.pack(sender))


def said(talk, kind):
    return [each for each in MessageParser().feed(talk.said) if each.get_type() == kind]


@pytest.mark.parametrize('position_from', SOURCES)
def test_what_is_made_known_is_the_flight(position_from):
    """At the stamps it bears, fifty times a second, whichever messages it comes from."""
    talk = Talk(autopilot(), conversation(position_from)).go_on(1.0)
    del talk.heard[:]
    talk.go_on(2.0)
    assert len(talk.heard) >= 95
    assert_true(talk.heard)
    assert_increasing(talk.heard)
    assert talk.ours.source == ('ODOMETRY' if position_from == 'auto' else position_from)
    assert talk.ours.home.latitude == pytest.approx(44.95936602, abs=1e-7)


def test_a_bad_link_costs_messages_and_not_their_truth():
    """30 ms and more late, one in twenty lost, and all of them for a second every ten."""
    bad = LinkQuality(latency=0.03, jitter=0.02, loss=0.05, dropouts=6.0)
    talk = Talk(autopilot(quality=bad), conversation('LOCAL_POSITION_NED')).go_on(2.0)
    del talk.heard[:]
    talk.go_on(10.0)
    assert_true(talk.heard, metres=0.3, radians=0.01)
    assert_increasing(talk.heard)
    assert len(talk.heard) > 200


def test_what_comes_is_not_asked_for_again():
    talk = Talk(autopilot(quality=LinkQuality(loss=0.0)), conversation()).go_on(8.0)
    asked = [each.param1 for each in said(talk, 'COMMAND_LONG') if each.command == 511]
    assert sorted(asked) == sorted(set(asked))
    assert len(said(talk, 'HEARTBEAT')) == 8
    assert {(each.type, each.get_srcComponent()) for each in said(talk, 'HEARTBEAT')} == {(18, 191)}


def test_nothing_is_asked_for_at_rate_0():
    """What comes is used all the same."""
    talk = Talk(autopilot(), conversation(rate=0.0)).go_on(3.0)
    assert said(talk, 'COMMAND_LONG') == []
    assert 8 <= len(talk.heard) <= 12
    assert_true(talk.heard, metres=0.1, radians=0.005, speed=1.0)


def test_a_reboot_in_flight():
    """It is counted, the messages are asked for anew, and the stamps go on."""
    talk = Talk(autopilot(), conversation()).go_on(3.0)
    before = len(said(talk, 'COMMAND_LONG'))
    talk.vehicle = autopilot(uptime=2.0, at=3.0)
    talk.go_on(1.0)
    assert talk.ours.counts['clock_jumps'] == 1
    assert talk.ours.counts['time_not_plausible'] >= 1
    assert len(said(talk, 'COMMAND_LONG')) >= before + 3
    after = len(talk.heard)
    talk.go_on(2.0)
    assert len(talk.heard) - after >= 95
    assert_true(talk.heard)
    assert_increasing(talk.heard)


def test_other_systems_are_not_the_vehicle():
    """Neither are other components of it."""
    ours = conversation()
    other = autopilot(system_id=9)
    talk = Talk(other, ours).go_on(1.0)
    assert talk.heard == []
    assert ours.counts['other_systems'] > 5
    assert ours.last_heard is None
    ours.received(heartbeat(1, component=100), STEADY)
    assert ours.last_heard is None


def test_the_first_autopilot_is_the_vehicle_if_none_is_named():
    """A ground station is none."""
    ours = conversation(parties=Parties(vehicle=0))
    ours.received(heartbeat(255, 190, common.MAV_AUTOPILOT_INVALID), STEADY)
    talk = Talk(autopilot(system_id=9), ours).go_on(3.0)
    assert len(talk.heard) > 90
    ours.received(heartbeat(10), STEADY + 4 * SECONDS)
    assert ours.counts['other_systems'] == 1


def test_what_is_no_number_is_counted():
    ours = conversation()
    sender = common.MAVLink(None, 1, 1)
    message = common.MAVLink_attitude_quaternion_message(1000, math.nan, 0, 0, 0, 0, 0, 0)
    ours.received(bytes(message.pack(sender)), STEADY)
    assert ours.counts['not_finite'] == 1
    assert ours.newest is None


def test_an_answer_to_nobodys_question_changes_nothing():
    """TIMESYNC of another's, and one that comes twice."""
    talk = Talk(autopilot(), conversation()).go_on(2.0)
    before = talk.ours.clock.snapshot()
    sender = common.MAVLink(None, 1, 1)
    forged = common.MAVLink_timesync_message(99 * SECONDS, STEADY - 5)
    talk.ours.received(bytes(forged.pack(sender)), STEADY + talk.elapsed)
    assert talk.ours.clock.snapshot() == before


@pytest.mark.parametrize('seed', range(5))
def test_garbage_on_the_link_is_survived(seed):
    """Bytes changed, left out and put in, in a third of the messages."""
    chance = random.Random(seed)

    def spoiled(data):
        bad = bytearray(data)
        for _ in range(chance.randrange(4)):
            at = chance.randrange(len(bad) + 1)
            bad[at : at + chance.randrange(3)] = chance.randbytes(chance.randrange(12))
        return bytes(bad) if chance.random() < 0.33 else data

    talk = Talk(autopilot(quality=LinkQuality(loss=0.0)), conversation())
    talk.spoil = spoiled
    talk.go_on(1.0)
    del talk.heard[:]
    talk.go_on(2.0)
    assert talk.ours.counts['bad_bytes'] > 0
    assert len(talk.heard) > 30
    assert_true(talk.heard)
    assert_increasing(talk.heard)
