# SPDX-License-Identifier: Apache-2.0
"""The simulated flight."""

from __future__ import annotations

import numpy as np
import pytest

from worker_pipeline.airside.geometry.rotations import rotation_matrix
from worker_pipeline.airside.simulation.flight import SimulatedFlight, SurveyPlan

FLIGHT = SimulatedFlight()
TIMES = np.arange(0.0, FLIGHT.duration, 0.1)


def test_the_flight_takes_about_a_minute():
    assert 58.0 < FLIGHT.duration < 63.0


def test_the_flight_is_a_function_of_time_and_seed():
    again, other = SimulatedFlight(), SimulatedFlight(seed=2)
    again.state(50.0)
    np.testing.assert_array_equal(again.state(9.0).pose.position, FLIGHT.state(9.0).pose.position)
    assert (other.state(9.0).pose.orientation != FLIGHT.state(9.0).pose.orientation).any()


@pytest.mark.slow
def test_speed_and_acceleration_are_those_of_a_real_vehicle():
    states = [FLIGHT.state(time) for time in TIMES]
    speeds = [np.linalg.norm(state.velocity) for state in states]
    tilts = [np.arccos(rotation_matrix(state.pose.orientation)[2, 2]) for state in states]
    rates = [np.linalg.norm(state.angular_velocity) for state in states]
    assert min(speeds) > 5.0
    assert max(speeds) < 13.0
    assert max(tilts) < np.radians(25)
    assert np.ptp(np.degrees(tilts)) > 5.0
    assert max(rates) < np.radians(40)


@pytest.mark.slow
def test_the_flight_is_smooth():
    """The velocity does not jump from one tenth of a second to the next."""
    world = [
        rotation_matrix(state.pose.orientation) @ state.velocity
        for state in map(FLIGHT.state, TIMES)
    ]
    assert np.linalg.norm(np.diff(world, axis=0), axis=1).max() < 0.4


def test_the_angular_velocity_is_the_derivative_of_the_attitude():
    """Integrated over a turn, it rotates the body as the attitudes do."""
    for time in (17.0, 20.0, 43.0):
        now, next_ = (
            rotation_matrix(FLIGHT.state(time + step).pose.orientation) for step in (-0.01, 0.01)
        )
        turned = now.T @ next_
        vector = np.array([turned[2, 1], turned[0, 2], turned[1, 0]]) / 0.02
        np.testing.assert_allclose(FLIGHT.state(time).angular_velocity, vector, atol=0.01)


@pytest.mark.slow
def test_the_nose_follows_the_track():
    for time in TIMES:
        forward, left, _ = FLIGHT.state(time).velocity
        assert forward > 4.0
        assert abs(left) < 0.1 * forward


def test_the_flight_can_be_shortened_but_not_extended():
    assert SimulatedFlight(duration=4.0).duration == 4.0
    assert SimulatedFlight(duration=4000.0).duration == FLIGHT.duration
    assert SimulatedFlight(plan=SurveyPlan(lanes=1)).duration < 15.0


@pytest.mark.parametrize('time', [-0.1, 1e3])
def test_a_time_outside_the_flight_is_rejected(time):
    with pytest.raises(ValueError, match='time: found'):
        FLIGHT.state(time)


def test_the_track_agrees_with_the_states():
    track = FLIGHT.track(step=1.0)
    assert len(track) == int(FLIGHT.duration) + 1
    np.testing.assert_allclose(track[7], FLIGHT.state(7.0).pose.position, atol=1e-3)


def test_the_vehicle_tilts_into_the_wind():
    """Wind from the west: the track is the same, since the position is controlled by the tilt."""
    still = SimulatedFlight(plan=SurveyPlan(sway=0.0, heave=0.0))
    windy = SimulatedFlight(plan=SurveyPlan(sway=0.0, heave=0.0, wind=(5.0, 0.0)))
    leaned = []
    for time in (3.0, 9.0):
        calm, blown = still.state(time).pose, windy.state(time).pose
        np.testing.assert_array_equal(blown.position, calm.position)
        up = [rotation_matrix(each.orientation)[:, 2] for each in (calm, blown)]
        leaned.append(np.degrees(up[1][0] - up[0][0]))
    # The drag of 5 m/s against gravity: 0.5 / 9.8 of a radian, against the wind.
    np.testing.assert_allclose(leaned, -2.9, atol=0.2)


@pytest.mark.slow
def test_gusts_displace_the_vehicle_temporarily():
    """By decimetres, smoothly, and determined by the seed."""
    plan = SurveyPlan(wind=(4.0, 2.0), gusts=1.5)
    gusty, again = SimulatedFlight(plan=plan), SimulatedFlight(plan=plan)
    np.testing.assert_array_equal(gusty.track(), again.track())
    off = (gusty.track(0.1) - FLIGHT.track(0.1))[:, :2]
    assert 0.05 < np.abs(off).max() < 1.0
    assert np.abs(off.mean(axis=0)).max() < 0.1
    states = [gusty.state(time) for time in TIMES]
    assert max(np.linalg.norm(state.angular_velocity) for state in states) < np.radians(60)
    other = SimulatedFlight(seed=2, plan=plan)
    assert (other.track()[:, :2] != gusty.track()[:, :2]).any()
