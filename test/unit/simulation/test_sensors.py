"""What the vehicle measures of its flight."""

from __future__ import annotations

import attrs
import numpy as np
import pytest

from worker_pipeline.airside.geometry import rotation_matrix
from worker_pipeline.simulation.flight import SimulatedFlight
from worker_pipeline.simulation.sensors import Error, NoisyFlight, SensorNoise

FLIGHT = SimulatedFlight(duration=10.0)
TIMES = np.arange(0.0, FLIGHT.duration, 0.02) + 0.001


def errors(measured, time):
    """Position (m, ENU), attitude (rad, about the body's axes), velocity, turn rate: (4, 3)."""
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


def test_it_is_a_function_of_time_and_seed():
    first, again, other = NoisyFlight(FLIGHT), NoisyFlight(FLIGHT), NoisyFlight(FLIGHT, seed=2)
    again.odometry(5.0)
    np.testing.assert_array_equal(errors(first, 9.03), errors(again, 9.03))
    assert (errors(first, 9.03) != errors(other, 9.03)).all()


def test_the_errors_are_as_large_as_it_says():
    """Over many flights; within what chance allows."""
    found = np.array(
        [errors(NoisyFlight(FLIGHT, seed), time) for seed in range(250) for time in (2.0, 9.0)]
    )
    known = NoisyFlight(FLIGHT).odometry(1.0).uncertainty
    expected = np.sqrt([np.diag(each) for each in attrs.astuple(known)])
    np.testing.assert_allclose(np.sqrt((found**2).mean(axis=0)), expected, rtol=0.2)
    assert (np.abs(found.mean(axis=0)) < 4 * expected / np.sqrt(len(found) / 2)).all()


def test_what_wanders_is_forgotten_slowly():
    """After the time told, a third (1/e) of it is left; of what is white nothing."""
    noise = SensorNoise(position=Error((1.0, 1.0, 1.0), 2.0, (0.0, 0.0, 0.0)))
    pairs = []
    for seed in range(200):
        measured = NoisyFlight(FLIGHT, seed, noise)
        pairs.append([errors(measured, time)[0] for time in (3.0, 5.0)])
    first, second = np.swapaxes(pairs, 0, 1)
    assert (first * second).mean() == pytest.approx(np.exp(-1), abs=0.12)
    assert np.abs(errors(measured, 5.0) - errors(measured, 5.01))[0].max() < 0.1
    white = SensorNoise(position=Error((0.0, 0.0, 0.0), 5.0, (1.0, 1.0, 1.0)))
    samples = np.array([errors(NoisyFlight(FLIGHT, 1, white), time)[0] for time in TIMES])
    assert abs((samples[1:] * samples[:-1]).mean()) < 0.15
    assert samples.std() == pytest.approx(1.0, abs=0.1)


def test_what_is_white_stays_until_the_next_measurement():
    measured = NoisyFlight(FLIGHT, 1, SensorNoise(period=0.1))
    np.testing.assert_allclose(errors(measured, 7.31)[3], errors(measured, 7.39)[3], atol=1e-3)
    assert np.abs(errors(measured, 7.31)[3] - errors(measured, 7.41)[3]).max() > 1e-3


@pytest.mark.parametrize('time', [-0.1, 1e3])
def test_there_is_nothing_outside_of_the_flight(time):
    with pytest.raises(ValueError, match='time: found'):
        NoisyFlight(FLIGHT).odometry(time)
