# SPDX-License-Identifier: Apache-2.0
"""Odometry messages from states."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.airside.geometry.pose import Pose
from worker_pipeline.airside.geometry.rotations import (
    multiply,
    quaternion_from_euler,
    quaternion_from_rotation_vector,
    rotation_matrix,
)
from worker_pipeline.airside.messages.odometry_pose import pose_of
from worker_pipeline.airside.messages.vehicle_state import Uncertainty, VehicleState, to_odometry

angles = st.floats(-3.0, 3.0)


def state(attitude, deviations=(0.01, 0.02, 0.2)):
    known = Uncertainty.from_deviations([1, 2, 3], deviations, [4, 5, 6], [7, 8, 9])
    pose = Pose(np.array([1.0, 2.0, 3.0]), attitude)
    return VehicleState(pose, np.array([4.0, 5.0, 6.0]), np.array([7.0, 8.0, 9.0]), known)


def test_the_message_contains_the_state():
    attitude = quaternion_from_euler(0.1, 0.2, 0.3)
    message = to_odometry(state(attitude), 'map', 'base_link')
    np.testing.assert_array_equal(pose_of(message).position, [1, 2, 3])
    np.testing.assert_allclose(pose_of(message).orientation, attitude)
    linear, angular = message.twist.twist.linear, message.twist.twist.angular
    assert (linear.x, linear.y, linear.z) == (4.0, 5.0, 6.0)
    assert (angular.x, angular.y, angular.z) == (7.0, 8.0, 9.0)
    assert (message.header.frame_id, message.child_frame_id) == ('map', 'base_link')
    covariance = np.reshape(message.pose.covariance, (6, 6))
    np.testing.assert_array_equal(np.diag(covariance)[:3], [1, 4, 9])
    assert not covariance[:3, 3:].any()
    twist = np.reshape(message.twist.covariance, (6, 6))
    np.testing.assert_array_equal(twist, np.diag([16, 25, 36, 49, 64, 81]))


@given(angles, st.floats(-1.5, 1.5), angles)
def test_the_covariance_of_the_attitude_is_about_world_axes(roll, pitch, yaw):
    """A small rotation about the body's axes equals one about world axes, with this covariance."""
    attitude = quaternion_from_euler(roll, pitch, yaw)
    message = to_odometry(state(attitude), 'map', 'base_link')
    found = np.reshape(message.pose.covariance, (6, 6))[3:, 3:]
    small = 1e-5
    columns = []
    for axis, deviation in zip(np.eye(3), (0.01, 0.02, 0.2), strict=True):
        turned = multiply(attitude, quaternion_from_rotation_vector(small * axis))
        difference = rotation_matrix(turned) @ rotation_matrix(attitude).T
        about_world = [difference[2, 1], difference[0, 2], difference[1, 0]]
        columns.append(np.array(about_world) / small * deviation)
    expected = np.column_stack(columns) @ np.column_stack(columns).T
    np.testing.assert_allclose(found, expected, atol=1e-6)
