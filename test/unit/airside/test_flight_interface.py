# SPDX-License-Identifier: Apache-2.0
"""The odometry of the vehicle."""

from __future__ import annotations

import numpy as np
import pytest
from flown import configured, process_stamped, stamp_at, tick

from worker_pipeline import EndOfStream
from worker_pipeline.airside.flight_interface import FlightInterface
from worker_pipeline.airside.geometry.rotations import rotation_matrix
from worker_pipeline.airside.messages.odometry_pose import pose_of
from worker_pipeline.airside.simulation.flight import SimulatedFlight


def test_odometry_has_the_pose_of_the_flight():
    odometry = process_stamped(configured(FlightInterface()), tick(12.35))
    truth = SimulatedFlight().state(12.35)
    np.testing.assert_allclose(pose_of(odometry).position, truth.pose.position)
    np.testing.assert_allclose(pose_of(odometry).orientation, truth.pose.orientation)
    assert odometry.header.stamp == stamp_at(12.35)
    assert (odometry.header.frame_id, odometry.child_frame_id) == ('map', 'base_link')


def test_the_twist_is_in_body_axes():
    """Rotated into the world, it is the derivative of the position."""
    stage = configured(FlightInterface())
    before, now, after = (stage.process(tick(time)) for time in (15.9, 16.0, 16.1))
    moved = (pose_of(after).position - pose_of(before).position) / 0.2
    linear = now.twist.twist.linear
    velocity = rotation_matrix(pose_of(now).orientation) @ [linear.x, linear.y, linear.z]
    np.testing.assert_allclose(velocity, moved, atol=0.02)
    assert linear.x > 5.0


def test_the_stream_ends_with_the_flight():
    stage = configured(FlightInterface(), {'duration': 3.0})
    stage.process(tick(3.0))
    with pytest.raises(EndOfStream):
        stage.process(tick(3.05))


@pytest.mark.slow
def test_noisy_odometry_has_a_matching_covariance():
    """Its errors have about that size; without noise it is exact."""
    exact, noisy = configured(FlightInterface()), configured(FlightInterface(), {'noise': True})
    off = []
    for time in range(0, 50, 5):
        truth = SimulatedFlight().state(time).pose.position
        off.append(pose_of(noisy.process(tick(time))).position - truth)
        np.testing.assert_array_equal(pose_of(exact.process(tick(time))).position, truth)
    assert 0.1 < np.std(off) < 3.0
    covariance = np.reshape(noisy.process(tick(5.0)).pose.covariance, (6, 6))
    np.testing.assert_allclose(np.sqrt(np.diag(covariance)[:3]), [0.8, 0.8, 1.5], rtol=0.01)


def test_the_home_is_published_once():
    stage = configured(FlightInterface(), {'home_latitude': 12.5})
    for time in (0.0, 1.0):
        stage.process(tick(time))
    assert [each.latitude for each in stage.topic['home'].messages] == [12.5]
