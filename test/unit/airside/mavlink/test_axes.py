# SPDX-License-Identifier: Apache-2.0
"""Conversion of MAVLink's axes to ROS's, against independent formulas."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.airside.geometry.rotations import (
    quaternion_from_euler,
    quaternion_from_rotation_vector,
    rotation_matrix,
)
from worker_pipeline.airside.mavlink import axes

numbers = st.floats(-1e6, 1e6)
vectors = st.tuples(numbers, numbers, numbers)
angles = st.floats(-math.pi, math.pi)
pitches = st.floats(-1.5, 1.5)
turns = st.tuples(*3 * [st.floats(-3.0, 3.0)])


def rotation(axis, angle):
    """Return a rotation about an axis by Rodrigues's formula."""
    c, s = math.cos(angle), math.sin(angle)
    return np.array(
        {
            'x': [[1, 0, 0], [0, c, -s], [0, s, c]],
            'y': [[c, 0, s], [0, 1, 0], [-s, 0, c]],
            'z': [[c, -s, 0], [s, c, 0], [0, 0, 1]],
        }[axis]
    )


def euler_matrix(roll, pitch, yaw):
    return rotation('z', yaw) @ rotation('y', pitch) @ rotation('x', roll)


def same_attitude(first, second):
    """Return whether two quaternions are equal up to their sign, which are the same attitude."""
    np.testing.assert_allclose(rotation_matrix(first), rotation_matrix(second), atol=1e-9)


@given(vectors)
def test_world_vectors_are_converted(vector):
    """North is ROS's y, east its x, down is minus up."""
    north, east, down = vector
    assert axes.enu_from_ned(vector).tolist() == [east, north, -down]
    assert axes.ned_from_enu(axes.enu_from_ned(vector)).tolist() == list(vector)


@given(vectors)
def test_body_vectors_are_converted(vector):
    forward, right, down = vector
    assert axes.flu_from_frd(vector).tolist() == [forward, -right, -down]
    assert axes.frd_from_flu(axes.flu_from_frd(vector)).tolist() == list(vector)


@given(angles, pitches, angles)
def test_attitudes_from_angles_and_quaternions_agree(roll, pitch, yaw):
    """Roll is the same about forward, pitch up is negative about left, yaw counts from east."""
    expected = euler_matrix(roll, -pitch, math.pi / 2 - yaw)
    found = axes.attitude_from_mavlink_euler(roll, pitch, yaw)
    np.testing.assert_allclose(rotation_matrix(found), expected, atol=1e-9)


@given(turns, vectors)
def test_a_converted_attitude_rotates_vectors_as_mavlink_does(turn, vector):
    """A body vector is the same in the world in either convention."""
    x, y, z, w = quaternion_from_rotation_vector(turn)
    attitude = axes.attitude_from_mavlink(w, x, y, z)
    in_ned = rotation_matrix([x, y, z, w]) @ np.array(vector)
    in_enu = rotation_matrix(attitude) @ axes.flu_from_frd(vector)
    np.testing.assert_allclose(in_enu, axes.enu_from_ned(in_ned), atol=1e-6)


@given(angles, pitches, angles)
def test_an_attitude_is_unchanged_after_conversion_and_back(roll, pitch, yaw):
    attitude = quaternion_from_euler(roll, pitch, yaw)
    same_attitude(axes.attitude_from_mavlink(*axes.attitude_to_mavlink(attitude)), attitude)


def test_well_known_attitudes_are_converted():
    """Level with the nose to the north and to the east; nose up."""
    north = rotation_matrix(axes.attitude_from_mavlink(1.0, 0.0, 0.0, 0.0))
    np.testing.assert_allclose(north @ [1, 0, 0], [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(north @ [0, 0, 1], [0, 0, 1], atol=1e-12)
    east = rotation_matrix(axes.attitude_from_mavlink_euler(0.0, 0.0, math.pi / 2))
    np.testing.assert_allclose(east @ [1, 0, 0], [1, 0, 0], atol=1e-12)
    nose_up = rotation_matrix(axes.attitude_from_mavlink_euler(0.0, 0.3, math.pi / 2))
    np.testing.assert_allclose(nose_up @ [1, 0, 0], [math.cos(0.3), 0, math.sin(0.3)], atol=1e-12)


@given(st.lists(st.floats(-10, 10), min_size=9, max_size=9), vectors)
def test_covariances_are_those_of_the_converted_vectors(numbers, direction):
    """The variance along any direction is unchanged."""
    root = np.array(numbers).reshape(3, 3)
    covariance = root @ root.T
    scale = 1e-6 * (1 + np.abs(direction).max() ** 2) * (1 + np.abs(covariance).max())
    for turn, turned in (
        (axes.enu_from_ned, axes.enu_covariance_from_ned),
        (axes.flu_from_frd, axes.flu_covariance_from_frd),
    ):
        along = turn(direction)
        before = np.array(direction) @ covariance @ np.array(direction)
        assert abs(along @ turned(covariance) @ along - before) <= scale
