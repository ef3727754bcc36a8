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
