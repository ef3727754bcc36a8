# SPDX-License-Identifier: Apache-2.0
"""The vehicle's measurements of its flight."""

from __future__ import annotations

import attrs
import numpy as np
import pytest

from worker_pipeline.airside.geometry.rotations import rotation_matrix
from worker_pipeline.airside.simulation.flight import SimulatedFlight
from worker_pipeline.airside.simulation.sensors import ErrorModel, NoisyFlight, SensorNoise

FLIGHT = SimulatedFlight(duration=10.0)
TIMES = np.arange(0.0, FLIGHT.duration, 0.02) + 0.001


def errors(measured, time):
    """Return errors (4, 3): position (m, ENU), attitude (rad, body), velocity, turn rate."""
    state, truth = measured.odometry(time), FLIGHT.state(time)
    between = rotation_matrix(truth.pose.orientation).T @ rotation_matrix(state.pose.orientation)
    turned = [between[2, 1], between[0, 2], between[1, 0]]
    return np.array(
        [
            state.pose.position - truth.pose.position,
            turned,
            state.velocity - truth.velocity,
            state.angular_velocity - truth.angular_velocity,
        ]
    )


def test_the_measurements_are_a_function_of_time_and_seed():
    first, again, other = NoisyFlight(FLIGHT), NoisyFlight(FLIGHT), NoisyFlight(FLIGHT, seed=2)
    again.odometry(5.0)
    np.testing.assert_array_equal(errors(first, 9.03), errors(again, 9.03))
    assert (errors(first, 9.03) != errors(other, 9.03)).all()


@pytest.mark.slow
def test_the_errors_match_the_stated_uncertainty():
    """Over many flights, within statistical tolerance."""
    found = np.array(
        [errors(NoisyFlight(FLIGHT, seed), time) for seed in range(250) for time in (2.0, 9.0)]
    )
    known = NoisyFlight(FLIGHT).odometry(1.0).uncertainty
    expected = np.sqrt([np.diag(each) for each in attrs.astuple(known)])
    np.testing.assert_allclose(np.sqrt((found**2).mean(axis=0)), expected, rtol=0.2)
    assert (np.abs(found.mean(axis=0)) < 4 * expected / np.sqrt(len(found) / 2)).all()


@pytest.mark.slow
def test_the_wandering_part_decays_slowly():
    """After the correlation time 1/e of it is left; of the white part nothing."""
    noise = SensorNoise(position=ErrorModel((1.0, 1.0, 1.0), 2.0, (0.0, 0.0, 0.0)))
    pairs = []
    for seed in range(200):
        measured = NoisyFlight(FLIGHT, seed, noise)
        pairs.append([errors(measured, time)[0] for time in (3.0, 5.0)])
    first, second = np.swapaxes(pairs, 0, 1)
    assert (first * second).mean() == pytest.approx(np.exp(-1), abs=0.12)
    assert np.abs(errors(measured, 5.0) - errors(measured, 5.01))[0].max() < 0.1
    white = SensorNoise(position=ErrorModel((0.0, 0.0, 0.0), 5.0, (1.0, 1.0, 1.0)))
    samples = np.array([errors(NoisyFlight(FLIGHT, 1, white), time)[0] for time in TIMES])
    assert abs((samples[1:] * samples[:-1]).mean()) < 0.15
    assert samples.std() == pytest.approx(1.0, abs=0.1)


def test_the_white_part_is_constant_between_measurements():
    measured = NoisyFlight(FLIGHT, 1, SensorNoise(period=0.1))
    np.testing.assert_allclose(errors(measured, 7.31)[3], errors(measured, 7.39)[3], atol=1e-3)
    assert np.abs(errors(measured, 7.31)[3] - errors(measured, 7.41)[3]).max() > 1e-3


@pytest.mark.parametrize('time', [-0.1, 1e3])
def test_a_time_outside_the_flight_is_rejected(time):
    with pytest.raises(ValueError, match='time: found'):
        NoisyFlight(FLIGHT).odometry(time)
