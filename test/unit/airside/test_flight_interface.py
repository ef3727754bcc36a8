"""Where the vehicle says it is."""

from __future__ import annotations

import numpy as np
import pytest
from flown import answer, ready, stamp_at, tick

from worker_pipeline import EndOfStream
from worker_pipeline.airside.flight_interface import FlightInterface
from worker_pipeline.airside.geometry import rotation_matrix
from worker_pipeline.airside.pose import pose_of
from worker_pipeline.simulation.flight import SimulatedFlight


def test_odometry_is_the_flights_pose():
    odometry = answer(ready(FlightInterface()), tick(12.35))
    truth = SimulatedFlight().state(12.35)
    np.testing.assert_allclose(pose_of(odometry).position, truth.pose.position)
    np.testing.assert_allclose(pose_of(odometry).orientation, truth.pose.orientation)
    assert odometry.header.stamp == stamp_at(12.35)
    assert (odometry.header.frame_id, odometry.child_frame_id) == ('map', 'base_link')


def test_the_twist_is_the_bodys():
    """Turned into the world, it is how the position changes."""
    stage = ready(FlightInterface())
    before, now, after = (stage.process(tick(time)) for time in (15.9, 16.0, 16.1))
    moved = (pose_of(after).position - pose_of(before).position) / 0.2
    linear = now.twist.twist.linear
    velocity = rotation_matrix(pose_of(now).orientation) @ [linear.x, linear.y, linear.z]
    np.testing.assert_allclose(velocity, moved, atol=0.02)
    assert linear.x > 5.0


def test_the_flight_ends():
    stage = ready(FlightInterface(), {'duration': 3.0})
    stage.process(tick(3.0))
    with pytest.raises(EndOfStream):
        stage.process(tick(3.05))


def test_measured_with_noise_it_says_how_well():
    """And is off by about as much; without, it is exact."""
    exact, noisy = ready(FlightInterface()), ready(FlightInterface(), {'noise': True})
    off = []
    for time in range(0, 50, 5):
        truth = SimulatedFlight().state(time).pose.position
        off.append(pose_of(noisy.process(tick(time))).position - truth)
        np.testing.assert_array_equal(pose_of(exact.process(tick(time))).position, truth)
    assert 0.1 < np.std(off) < 3.0
    covariance = np.reshape(noisy.process(tick(5.0)).pose.covariance, (6, 6))
    np.testing.assert_allclose(np.sqrt(np.diag(covariance)[:3]), [0.8, 0.8, 1.5], rtol=0.01)


def test_home_is_told_once():
    stage = ready(FlightInterface(), {'home_latitude': 12.5})
    for time in (0.0, 1.0):
        stage.process(tick(time))
    assert [each.latitude for each in stage.topic['home'].messages] == [12.5]
