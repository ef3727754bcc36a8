# SPDX-License-Identifier: Apache-2.0
"""Rotations and quaternions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.airside.geometry.rotations import (
    multiply,
    normalized,
    quaternion_from_euler,
    quaternion_from_matrix,
    quaternion_from_rotation_vector,
    rotation_matrix,
    slerp,
)

angles = st.floats(-math.pi, math.pi)


def test_yaw_turns_forward_to_the_left():
    turned = rotation_matrix(quaternion_from_euler(0.0, 0.0, math.pi / 2)) @ [1.0, 0.0, 0.0]
    np.testing.assert_allclose(turned, [0.0, 1.0, 0.0], atol=1e-12)


def test_positive_pitch_lowers_the_nose():
    turned = rotation_matrix(quaternion_from_euler(0.0, math.pi / 2, 0.0)) @ [1.0, 0.0, 0.0]
    np.testing.assert_allclose(turned, [0.0, 0.0, -1.0], atol=1e-12)


def test_positive_roll_lowers_the_right_side():
    turned = rotation_matrix(quaternion_from_euler(math.pi / 2, 0.0, 0.0)) @ [0.0, -1.0, 0.0]
    np.testing.assert_allclose(turned, [0.0, 0.0, -1.0], atol=1e-12)


@given(angles, angles, angles)
def test_a_quaternion_is_unchanged_after_conversion_to_a_matrix_and_back(roll, pitch, yaw):
    matrix = rotation_matrix(quaternion_from_euler(roll, pitch, yaw))
    again = rotation_matrix(quaternion_from_matrix(matrix))
    np.testing.assert_allclose(again, matrix, atol=1e-12)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)


@given(angles, angles, angles, angles)
def test_multiplying_quaternions_equals_multiplying_matrices(roll, pitch, yaw, other):
    first = quaternion_from_euler(roll, pitch, yaw)
    second = quaternion_from_euler(other, roll, pitch)
    np.testing.assert_allclose(
        rotation_matrix(multiply(first, second)),
        rotation_matrix(first) @ rotation_matrix(second),
        atol=1e-12,
    )


@given(st.floats(0.0, 1.0), st.floats(0.0, 3.0))
def test_slerp_turns_at_a_constant_rate(fraction, angle):
    start = quaternion_from_euler(0.1, 0.2, 0.3)
    turn = np.array([0.0, 0.6, 0.8]) * angle
    end = multiply(start, quaternion_from_rotation_vector(turn))
    expected = multiply(start, quaternion_from_rotation_vector(turn * fraction))
    found = slerp(start, end, fraction)
    np.testing.assert_allclose(rotation_matrix(found), rotation_matrix(expected), atol=1e-7)


def test_slerp_takes_the_shorter_way():
    start = quaternion_from_euler(0.0, 0.0, 0.2)
    end = -quaternion_from_euler(0.0, 0.0, 0.4)
    expected = rotation_matrix(quaternion_from_euler(0.0, 0.0, 0.3))
    np.testing.assert_allclose(rotation_matrix(slerp(start, end, 0.5)), expected, atol=1e-12)


@pytest.mark.parametrize('nothing', [[0, 0, 0, 0], [math.nan, 0, 0, 1], [math.inf, 0, 0, 1]])
def test_an_invalid_quaternion_is_rejected(nothing):
    with pytest.raises(ValueError, match='allowed: finite numbers'):
        normalized(nothing)
