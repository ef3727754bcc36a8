# SPDX-License-Identifier: Apache-2.0
"""The pose at a given time from odometry."""

from __future__ import annotations

import numpy as np
import pytest
from flown import configured, process_stamped, stamp_at, tick

from worker_pipeline.airside.flight_interface import FlightInterface
from worker_pipeline.airside.geometry.rotations import rotation_matrix
from worker_pipeline.airside.messages.odometry_pose import PoseUnavailableError, pose_at, pose_of
from worker_pipeline.airside.simulation.flight import SimulatedFlight


@pytest.fixture(scope='module')
def odometry():
    stage = configured(FlightInterface())
    return lambda seconds: process_stamped(stage, tick(seconds))


def degrees_between(first, second):
    cosine = (np.trace(rotation_matrix(first).T @ rotation_matrix(second)) - 1) / 2
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


@pytest.mark.slow
@pytest.mark.parametrize('time', [5.02, 16.33, 19.47, 41.01])
def test_interpolation_follows_the_flight(odometry, time):
    begin = int(time * 20) / 20
    found = pose_at(odometry(begin), odometry(begin + 0.05), stamp_at(time), max_gap=0.1)
    truth = SimulatedFlight().state(time).pose
    np.testing.assert_allclose(found.position, truth.position, atol=0.002)
    assert degrees_between(found.orientation, truth.orientation) < 0.02


def test_extrapolation_keeps_velocity_and_turn_rate(odometry):
    found = pose_at(odometry(17.0), None, stamp_at(17.1), max_gap=0.2)
    truth = SimulatedFlight().state(17.1).pose
    np.testing.assert_allclose(found.position, truth.position, atol=0.03)
    assert degrees_between(found.orientation, truth.orientation) < 0.2
    standing = pose_of(odometry(17.0)).position
    assert np.linalg.norm(standing - truth.position) > 0.5


def test_a_message_at_the_stamp_is_the_pose(odometry):
    exact = odometry(3.0)
    found = pose_at(exact, exact, stamp_at(3.0), max_gap=0.0)
    np.testing.assert_array_equal(found.position, pose_of(exact).position)


def test_without_odometry_there_is_no_pose():
    with pytest.raises(PoseUnavailableError, match='no odometry received yet') as none:
        pose_at(None, None, stamp_at(0.0), max_gap=1.0)
    assert none.value.reason == 'no_odometry'


def test_a_long_gap_is_not_bridged(odometry):
    with pytest.raises(PoseUnavailableError, match=r'gap of 1\.000 s; allowed: 0\.5 s'):
        pose_at(odometry(1.0), odometry(2.0), stamp_at(1.5), max_gap=0.5)
    with pytest.raises(PoseUnavailableError, match=r'nearest odometry is 1\.500 s away'):
        pose_at(odometry(1.0), None, stamp_at(2.5), max_gap=0.5)


def test_a_non_finite_pose_is_rejected(odometry):
    broken = odometry(1.0)
    broken.pose.pose.position.x = float('nan')
    with pytest.raises(ValueError, match='position: found'):
        pose_of(broken)
