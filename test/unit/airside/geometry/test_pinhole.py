# SPDX-License-Identifier: Apache-2.0
"""The pinhole camera."""

from __future__ import annotations

import math

import numpy as np
import pytest
from flown import CAMERA, MOUNTED, on_ground
from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.airside.geometry.pinhole import (
    INTRINSICS,
    MOUNTING,
    CameraPose,
    Mounting,
    PinholeCamera,
)
from worker_pipeline.airside.geometry.pose import Pose
from worker_pipeline.airside.geometry.rotations import quaternion_from_euler
from worker_pipeline.parameter import check_parameters


def camera_at(east, north, up, roll=0.0, pitch=0.0, yaw=0.0, mounting=MOUNTED):
    body = Pose(np.array([east, north, up]), quaternion_from_euler(roll, pitch, yaw))
    return CameraPose.from_body(body, mounting)


def test_the_centre_of_a_level_camera_is_straight_below():
    pose = camera_at(3.0, -4.0, 50.0)
    point = on_ground(pose, [[CAMERA.cx, CAMERA.cy]])
    np.testing.assert_allclose(point, [[3.0, -4.0, 0.0]], atol=1e-9)


def test_the_top_of_the_image_is_ahead_and_its_right_is_to_the_right():
    """Heading north: ahead is north, right is east."""
    pose = camera_at(0.0, 0.0, 28.547, yaw=math.pi / 2)
    pixels = [[CAMERA.cx, CAMERA.cy - 100], [CAMERA.cx + 100, CAMERA.cy]]
    np.testing.assert_allclose(on_ground(pose, pixels), [[0, 1, 0], [1, 0, 0]], atol=1e-9)


def test_the_field_of_view_is_that_of_the_reference_camera():
    edge = CAMERA.rays([[-0.5, CAMERA.cy], [CAMERA.cx, -0.5]])
    assert 2 * math.atan(-edge[0, 0]) == pytest.approx(0.64889, abs=1e-4)
    assert 2 * math.atan(-edge[1, 1]) == pytest.approx(0.41438, abs=1e-4)


def test_a_mounted_camera_moves_with_the_body():
    params = check_parameters(MOUNTING, {'mounting_position': [0.5, 0.0, -0.1]})
    pose = camera_at(0.0, 0.0, 10.0, yaw=math.pi / 2, mounting=Mounting.from_params(params))
    np.testing.assert_allclose(pose.position, [0.0, 0.5, 9.9], atol=1e-12)


small = st.floats(-0.4, 0.4)


@given(small, small, st.floats(-3.1, 3.1), st.floats(0, 1919), st.floats(0, 1199))
def test_a_pixel_projected_to_the_ground_and_back_is_unchanged(roll, pitch, yaw, u, v):
    pose = camera_at(10.0, 20.0, 60.0, roll, pitch, yaw)
    points = on_ground(pose, [[u, v]], height=1.5)
    np.testing.assert_allclose(pose.project_points(CAMERA, points), [[u, v]], atol=1e-6)
    east, north, _ = points[0]
    projected = pose.plane_homography(CAMERA, 1.5) @ [east, north, 1.0]
    np.testing.assert_allclose(projected[:2] / projected[2], [u, v], atol=1e-6)


def test_a_ray_that_does_not_descend_misses_the_ground():
    """Rolled by 80 degrees, one side of the image looks above the horizon."""
    pose = camera_at(0.0, 0.0, 30.0, roll=math.radians(80))
    assert np.isfinite(on_ground(pose, [[0, 600], [1919, 600]])).all(axis=1).sum() == 1
    assert np.isnan(on_ground(camera_at(0, 0, -1.0), [[0, 0]])).all()


def test_a_point_behind_the_camera_has_no_pixel():
    assert np.isnan(camera_at(0, 0, 10.0).project_points(CAMERA, [[0, 0, 20.0]])).all()


def test_an_invalid_camera_is_rejected():
    wrong = check_parameters(INTRINSICS, {'focal_length': [1000.0]})
    with pytest.raises(ValueError, match=r'focal_length: found \[1000.0\]; allowed: 2'):
        PinholeCamera.from_params(wrong)
