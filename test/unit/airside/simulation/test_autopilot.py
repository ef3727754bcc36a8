# SPDX-License-Identifier: Apache-2.0
"""The simulated autopilot, as received by pymavlink."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pymap3d
import pytest
from pymavlink.dialects.v20 import common
from support.autopilots import EPOCH, FLIGHT, autopilot

from worker_pipeline.airside.geometry.rotations import rotation_matrix
from worker_pipeline.airside.simulation.autopilot import SECONDS
from worker_pipeline.airside.simulation.lossy_link import LinkQuality

AT_ONCE = LinkQuality(0.0, 0.0, 0.0)


class Listener:
    """Receives from an autopilot with pymavlink's own parser, in steps of a millisecond."""

    def __init__(self, vehicle):
        self.vehicle = vehicle
        self.now = EPOCH
        self._parser = common.MAVLink(None)
        self._sender = common.MAVLink(None, 255, 190)
        self.received = []

    def listen(self, seconds):
        for _ in range(round(seconds * 1000)):
            self.now += SECONDS // 1000
            for data in self.vehicle.messages_to_send(self.now):
                self.received += [(self.now, each) for each in self._parser.parse_buffer(data)]
        return self

    def send(self, message):
        self.vehicle.receive_data(bytes(message.pack(self._sender)), self.now)

    def command(self, *numbers):
        padded = [*numbers, *(8 - len(numbers)) * [0]]
        self.send(common.MAVLink_command_long_message(1, 1, padded[0], 0, *padded[1:]))

    def all(self, kind):
        return [(at, each) for at, each in self.received if each.get_type() == kind]


@pytest.fixture
def listener():
    return Listener(autopilot(quality=AT_ONCE, uptime=100.0, drift=0.0))


def test_default_messages_are_sent_without_requests(listener):
    listener.listen(4.0)
    counts = Counter(each.get_type() for _, each in listener.received)
    assert counts == {
        'HEARTBEAT': 4,
        'SYSTEM_TIME': 4,
        'ATTITUDE': 16,
        'GLOBAL_POSITION_INT': 16,
        'LOCAL_POSITION_NED': 16,
        'HOME_POSITION': 2,
    }


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['ATTITUDE_QUATERNION', 'ODOMETRY', 'LOCAL_POSITION_NED'])
def test_messages_are_sent_at_the_requested_rate(listener, kind):
    number = getattr(common, f'MAVLINK_MSG_ID_{kind}')
    listener.command(common.MAV_CMD_SET_MESSAGE_INTERVAL, number, 20_000)
    listener.listen(2.0)
    assert len(listener.all(kind)) == pytest.approx(100, abs=2)
    assert [each.result for _, each in listener.all('COMMAND_ACK')] == [0]
    listener.command(common.MAV_CMD_SET_MESSAGE_INTERVAL, number, -1)
    before = len(listener.all(kind))
    listener.listen(1.0)
    assert len(listener.all(kind)) - before <= 1


@pytest.mark.parametrize(
    ('numbers', 'result'),
    [
        ((511, 9999, 20_000), common.MAV_RESULT_DENIED),
        ((511, 30, math.nan), common.MAV_RESULT_DENIED),
        ((512, 9999), common.MAV_RESULT_UNSUPPORTED),
        ((400, 1), common.MAV_RESULT_UNSUPPORTED),
    ],
)
def test_unsupported_commands_are_rejected(listener, numbers, result):
    listener.command(*numbers)
    listener.listen(0.1)
    assert [each.result for _, each in listener.all('COMMAND_ACK')] == [result]


def test_a_message_can_be_requested_once(listener):
    listener.command(common.MAV_CMD_REQUEST_MESSAGE, common.MAVLINK_MSG_ID_GPS_GLOBAL_ORIGIN)
    listener.listen(0.1)
    origin = listener.all('GPS_GLOBAL_ORIGIN')[0][1]
    assert (origin.latitude, origin.longitude) == (449593660, -1106386504)


def test_timesync_is_answered(listener):
    """The answer has ns since its boot, and the time of the request."""
    listener.listen(0.5)
    listener.send(common.MAVLink_timesync_message(0, 12345))
    listener.listen(0.1)
    at, answer = listener.all('TIMESYNC')[0]
    assert answer.ts1 == 12345
    assert answer.tc1 == at - EPOCH + 100 * SECONDS


@pytest.mark.slow
def test_every_message_agrees_with_the_flight(listener):
    """Each in its own units and axes, by formulas from the MAVLink documentation."""
    for kind in ('ATTITUDE', 'ATTITUDE_QUATERNION', 'LOCAL_POSITION_NED', 'ODOMETRY'):
        number = getattr(common, f'MAVLINK_MSG_ID_{kind}')
        listener.command(common.MAV_CMD_SET_MESSAGE_INTERVAL, number, 50_000)
    listener.listen(12.0)
    for at, message in listener.received[::7]:
        truth = FLIGHT.state((at - EPOCH) / SECONDS)
        east, north, up = truth.pose.position
        world = rotation_matrix(truth.pose.orientation)
        nose = world @ [1.0, 0.0, 0.0]
        kind = message.get_type()
        if kind in ('LOCAL_POSITION_NED', 'ODOMETRY'):
            np.testing.assert_allclose([message.x, message.y, message.z], [north, east, -up], 1e-5)
        if kind == 'GLOBAL_POSITION_INT':
            place = pymap3d.geodetic2enu(
                message.lat / 1e7,
                message.lon / 1e7,
                message.alt / 1e3,
                44.95936602,
                -110.63865039,
                2000,
            )
            np.testing.assert_allclose(place, [east, north, up], atol=0.02)
        if kind == 'ATTITUDE':
            assert message.yaw == pytest.approx(math.atan2(nose[0], nose[1]), abs=1e-5)
            assert message.pitch == pytest.approx(math.asin(nose[2]), abs=1e-5)
            left = world @ [0.0, 1.0, 0.0]
            assert math.sin(message.roll) * math.cos(message.pitch) == pytest.approx(
                left[2], abs=1e-5
            )
        if kind == 'ODOMETRY':
            forward, left, above = truth.velocity
            np.testing.assert_allclose(
                [message.vx, message.vy, message.vz], [forward, -left, -above], atol=1e-5
            )


def test_before_and_after_the_flight_the_vehicle_hovers():
    vehicle = autopilot()
    for at, time in ((EPOCH - 5 * SECONDS, 0.0), (EPOCH + 999 * SECONDS, FLIGHT.duration)):
        for state in (vehicle.truth(at), vehicle.measured(at)):
            np.testing.assert_array_equal(state.pose.position, FLIGHT.state(time).pose.position)
            assert not state.velocity.any()


def test_the_same_seed_gives_the_same_messages():
    first, again = (Listener(autopilot(noise=None)).listen(1.0).received for _ in range(2))
    assert [(at, each.to_dict()) for at, each in first] == [
        (at, each.to_dict()) for at, each in again
    ]
