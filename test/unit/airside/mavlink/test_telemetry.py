# SPDX-License-Identifier: Apache-2.0
"""States of the vehicle from its messages."""

from __future__ import annotations

import math

import numpy as np
import pymap3d
import pytest
from pymavlink.dialects.v20 import common
from support.autopilots import ASSUMED

from worker_pipeline.airside.geometry.rotations import rotation_matrix
from worker_pipeline.airside.mavlink.telemetry import GeoPoint, Telemetry, UnusableError

LEVEL_TO_EAST = (math.sqrt(0.5), 0.0, 0.0, math.sqrt(0.5))  # w x y z
ORIGIN = (449593660, -1106386504, 2000_000)
NOT_KNOWN = 21 * [math.nan]


def attitude(ms, q=LEVEL_TO_EAST, rates=(0.1, 0.2, 0.3)):
    return common.MAVLink_attitude_quaternion_message(ms, *q, *rates)


def local(ms, place=(10.0, 20.0, -30.0), velocity=(1.0, 2.0, -3.0)):
    return common.MAVLink_local_position_ned_message(ms, *place, *velocity)


def odometry(usec, frame=1, child=12, covariance=NOT_KNOWN, quality=100, **fields):
    message = common.MAVLink_odometry_message(
        usec, frame, child, 10, 20, -30, LEVEL_TO_EAST, 1, 2, -3, 0.1, 0.2, 0.3,
        covariance, covariance, 0, 0, quality,
    )  # fmt: skip
    for name, value in fields.items():
        setattr(message, name, value)
    return message


def global_position(ms, latitude=ORIGIN[0], longitude=ORIGIN[1], altitude=ORIGIN[2]):
    return common.MAVLink_global_position_int_message(
        ms, latitude, longitude, altitude, 0, 100, 200, -300, 0
    )


def taken(telemetry, *messages):
    """Return the state that the last of the messages gives."""
    result = None
    for message in messages:
        telemetry.update(message)
        time = telemetry.time_of(message)
        result = None if time is None else telemetry.read_state(message, time)
    return result


def test_a_position_is_extrapolated_to_the_time_of_the_attitude():
    """By its velocity, forwards and backwards."""
    for ms, ahead in ((1040, 0.04), (980, -0.02)):
        found = taken(Telemetry(ASSUMED), local(1000), attitude(ms))
        assert found.time == ms * 1000
        expected = [20 + 2 * ahead, 10 + 1 * ahead, 30 + 3 * ahead]
        np.testing.assert_allclose(found.state.pose.position, expected)
        # The nose points east: forward is east, left is north.
        np.testing.assert_allclose(found.state.velocity, [2.0, 1.0, 3.0], atol=1e-12)
        np.testing.assert_allclose(found.state.angular_velocity, [0.1, -0.2, -0.3])


def test_an_extrapolated_position_is_less_certain():
    here = taken(Telemetry(ASSUMED), local(1000), attitude(1000)).state.uncertainty
    np.testing.assert_allclose(here.position, ASSUMED.position)
    later = taken(Telemetry(ASSUMED), local(1000), attitude(1400)).state.uncertainty
    expected = 1.0 + (0.1 * 0.4) ** 2 + (1.5 * 0.4**2 / 2) ** 2
    np.testing.assert_allclose(np.diag(later.position), expected)


def test_a_state_requires_position_and_attitude():
    assert taken(Telemetry(ASSUMED), attitude(1000)) is None
    assert taken(Telemetry(ASSUMED), local(1000)) is None
    with pytest.raises(UnusableError, match='attitude_without_position'):
        taken(Telemetry(ASSUMED, max_position_age=0.5), local(1000), attitude(1501))


def test_angles_are_used_if_there_is_no_quaternion():
    telemetry = Telemetry(ASSUMED)
    angles = common.MAVLink_attitude_message(1000, 0.1, 0.2, math.pi / 2, 0.1, 0.2, 0.3)
    found = taken(telemetry, local(1000), angles)
    nose = rotation_matrix(found.state.pose.orientation) @ [1, 0, 0]
    np.testing.assert_allclose(nose, [math.cos(0.2), 0, math.sin(0.2)], atol=1e-6)
    taken(telemetry, attitude(1020))
    angles.time_boot_ms = 1040
    assert taken(telemetry, angles) is None
    angles.time_boot_ms = 2041
    assert taken(telemetry, local(2041), angles) is not None


def test_odometry_contains_a_whole_state():
    found = taken(Telemetry(ASSUMED), odometry(1_000_500))
    assert found.time == 1_000_500
    np.testing.assert_allclose(found.state.pose.position, [20, 10, 30])
    np.testing.assert_allclose(found.state.velocity, [1, -2, 3])
    np.testing.assert_allclose(found.state.uncertainty.position, ASSUMED.position)


def test_odometry_with_velocity_in_world_axes_is_converted():
    found = taken(Telemetry(ASSUMED), odometry(1_000_500, child=1))
    np.testing.assert_allclose(found.state.velocity, [2.0, 1.0, 3.0], atol=1e-12)


def test_the_covariance_of_odometry_is_used():
    """North, east, down, roll, pitch, yaw have variances 1 to 6; north and east covary by 0.5."""
    whole = np.diag(np.arange(1.0, 7.0))
    whole[0, 1] = 0.5
    triangle = whole[np.triu_indices(6)].tolist()
    found = taken(Telemetry(ASSUMED), odometry(1_000_500, covariance=triangle)).state.uncertainty
    np.testing.assert_array_equal(found.position, [[2, 0.5, 0], [0.5, 1, 0], [0, 0, 3]])
    np.testing.assert_array_equal(found.attitude, np.diag([4, 5, 6]))
    np.testing.assert_array_equal(found.velocity, [[1, -0.5, 0], [-0.5, 2, 0], [0, 0, 3]])


@pytest.mark.parametrize('number', [0.0, math.nan, math.inf, -1.0])
def test_an_invalid_covariance_is_ignored(number):
    found = taken(Telemetry(ASSUMED), odometry(1_000_500, covariance=21 * [number]))
    np.testing.assert_array_equal(found.state.uncertainty.position, ASSUMED.position)
    np.testing.assert_array_equal(found.state.uncertainty.attitude, ASSUMED.attitude)


def test_odometry_is_preferred_while_it_is_received():
    telemetry = Telemetry(ASSUMED)
    assert taken(telemetry, odometry(1_000_000)) is not None
    assert taken(telemetry, local(1500), attitude(1500)) is None
    assert telemetry.source == 'ODOMETRY'
    assert taken(telemetry, local(2001), attitude(2001)) is not None
    assert telemetry.source == 'LOCAL_POSITION_NED'


def test_only_the_configured_message_is_used():
    telemetry = Telemetry(ASSUMED, 'LOCAL_POSITION_NED')
    assert taken(telemetry, odometry(1_000_000)) is None
    assert taken(telemetry, local(1000), attitude(1000)) is not None


def test_a_global_position_is_relative_to_the_origin():
    """Or to the home, until the origin is known."""
    latitude, longitude, altitude = pymap3d.enu2geodetic(
        30.0, -40.0, 50.0, ORIGIN[0] / 1e7, ORIGIN[1] / 1e7, ORIGIN[2] / 1e3
    )
    message = global_position(
        1000, round(latitude * 1e7), round(longitude * 1e7), round(altitude * 1e3)
    )
    home = common.MAVLink_home_position_message(*ORIGIN, 0, 0, 0, (1, 0, 0, 0), 0, 0, 0, 1_000_000)
    origin = common.MAVLink_gps_global_origin_message(*ORIGIN, 1_000_000)
    for known in (home, origin):
        telemetry = Telemetry(ASSUMED)
        assert taken(telemetry, message, attitude(1000)) is None
        found = taken(telemetry, known, message, attitude(1100))
        np.testing.assert_allclose(found.state.pose.position, [30.2, -39.9, 50.3], atol=0.02)
    assert telemetry.home is None


def test_the_home_survives_a_reset():
    telemetry = Telemetry(ASSUMED)
    home = common.MAVLink_home_position_message(*ORIGIN, 0, 0, 0, (1, 0, 0, 0), 0, 0, 0)
    telemetry.update(home)
    telemetry.reset()
    assert telemetry.home == GeoPoint(44.959366, -110.6386504, 2000.0)
    home.latitude = 900_000_001
    with pytest.raises(UnusableError, match='no_place_on_earth'):
        telemetry.update(home)


def test_times_since_1970_are_converted_by_the_vehicles_own_date():
    telemetry = Telemetry(ASSUMED)
    message = odometry(1_700_000_000_250_000)
    assert telemetry.time_of(message) is None
    telemetry.update(common.MAVLink_system_time_message(1_700_000_000_000_000, 5000))
    assert telemetry.time_of(message) == 5_250_000


@pytest.mark.parametrize('bad', [math.nan, math.inf, -math.inf])
def test_a_message_with_non_finite_values_gives_no_state(bad):
    """Whichever field it is in; the previous state stays."""
    telemetry = Telemetry(ASSUMED)
    taken(telemetry, local(1000))
    messages = [
        *(local(1020, place=p) for p in ((bad, 0, 0), (0, bad, 0), (0, 0, bad))),
        *(local(1020, velocity=v) for v in ((bad, 0, 0), (0, bad, 0), (0, 0, bad))),
        *(attitude(1020, q=q) for q in ((bad, 0, 0, 0), (0, 0, 0, bad), (0, 0, 0, 0))),
        attitude(1020, rates=(0, bad, 0)),
        *(odometry(1_020_000, **{name: bad}) for name in ('x', 'z', 'vy', 'yawspeed')),
        odometry(1_020_000, q=(0, 0, 0, 0)),
        common.MAVLink_attitude_message(1020, bad, 0, 0, 0, 0, 0),
    ]
    for message in messages:
        with pytest.raises(UnusableError, match='not_finite'):
            taken(telemetry, message)
    found = taken(telemetry, attitude(1030))
    np.testing.assert_allclose(found.state.pose.position, [20.06, 10.03, 30.09])


@pytest.mark.parametrize(
    'absurd',
    [
        global_position(1020, latitude=910_000_000),
        global_position(1020, longitude=-1_800_000_001),
        global_position(1020, latitude=0, longitude=0),
        local(1020, place=(0.0, 1e30, 0.0)),
        odometry(1_020_000, z=-3e38),
    ],
    ids=['latitude 91', 'longitude -180.0000001', 'no fix', 'local position', 'odometry'],
)
def test_an_impossible_position_gives_no_state(absurd):
    """The previous state stays."""
    telemetry = Telemetry(ASSUMED)
    origin = common.MAVLink_gps_global_origin_message(*ORIGIN, 1_000_000)
    taken(telemetry, origin, local(1000))
    with pytest.raises(UnusableError, match='no_place_on_earth'):
        taken(telemetry, absurd)
    found = taken(telemetry, attitude(1030))
    np.testing.assert_allclose(found.state.pose.position, [20.06, 10.03, 30.09])


def test_an_impossible_extrapolation_gives_no_state():
    telemetry = Telemetry(ASSUMED)
    taken(telemetry, local(1000, velocity=(1e30, 0.0, 0.0)))
    with pytest.raises(UnusableError, match='no_place_on_earth'):
        taken(telemetry, attitude(1030))


@pytest.mark.parametrize(
    ('fields', 'why'),
    [
        ({'frame': 20}, 'frames_not_known'),
        ({'child': 0}, 'frames_not_known'),
        ({'quality': -1}, 'odometry_failed'),
    ],
)
def test_unusable_odometry_is_rejected_with_a_reason(fields, why):
    with pytest.raises(UnusableError, match=why):
        taken(Telemetry(ASSUMED), odometry(1_000_000, **fields))
