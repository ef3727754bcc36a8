# SPDX-License-Identifier: Apache-2.0
"""The outline of the ground in view."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.airside.geometry.pinhole import INTRINSICS, MOUNTING, CameraPose, Mounting
from worker_pipeline.airside.geometry.pinhole import PinholeCamera as Camera
from worker_pipeline.airside.geometry.pose import Pose
from worker_pipeline.airside.geometry.rotations import quaternion_from_euler
from worker_pipeline.airside.projection.footprint import footprint
from worker_pipeline.airside.projection.ground import FlatGround
from worker_pipeline.airside.projection.location_covariance import Deviations
from worker_pipeline.airside.projection.locator import Locator
from worker_pipeline.parameter import check_parameters

DISTORTED = {'distortion': [-0.12, 0.05, 0.0005, -0.0004, 0.0]}


def locator(level=0.0, **intrinsics):
    return Locator(
        camera=Camera.from_params(check_parameters(INTRINSICS, intrinsics)),
        mounting=Mounting.from_params(check_parameters(MOUNTING, {})),
        ground=FlatGround(level),
        min_descent=0.1,
        deviations=Deviations(1.0, 0.005, 0.2),
    )


def body(roll=0.0, pitch=0.0, yaw=0.0, up=60.0):
    return Pose(np.array([5.0, -7.0, up]), quaternion_from_euler(roll, pitch, yaw))


def test_from_above_it_is_the_field_of_view():
    """0.64889 x 0.41438 rad; the camera's right is south when the vehicle looks to the east."""
    outline = footprint(locator(), body())
    east, north, up = outline.T
    assert np.ptp(north) == pytest.approx(2 * 60 * math.tan(0.64889 / 2), rel=1e-3)
    assert np.ptp(east) == pytest.approx(2 * 60 * math.tan(0.41438 / 2), rel=1e-3)
    assert (up == 0).all()
    assert east[0] > 5.0  # the first row is ahead
    assert north[0] > -7.0  # the first column is to the left


@given(
    roll=st.floats(-0.4, 0.4),
    pitch=st.floats(-0.4, 0.4),
    yaw=st.floats(-3.1, 3.1),
    level=st.floats(-20.0, 20.0),
)
def test_its_points_are_seen_at_the_edge_of_the_image(roll, pitch, yaw, level):
    found = locator(level, **DISTORTED)
    pose = body(roll, pitch, yaw)
    outline = footprint(found, pose)
    seen = CameraPose.from_body(pose, found.mounting).project_points(found.camera, outline)
    u, v = seen.T
    on_edge = (
        np.isclose(u, -0.5, atol=0.01)
        | np.isclose(u, 1919.5, atol=0.01)
        | np.isclose(v, -0.5, atol=0.01)
        | np.isclose(v, 1199.5, atol=0.01)
    )
    assert on_edge.all()
    np.testing.assert_allclose(outline[:, 2], level)


@pytest.mark.parametrize('pose', [body(pitch=-1.3), body(roll=3.0), body(up=-1.0)])
def test_a_view_that_is_not_all_ground_has_none(pose):
    assert footprint(locator(), pose) is None


@given(st.lists(st.floats(), min_size=7, max_size=7))
def test_a_pose_of_any_numbers_gives_an_outline_of_finite_ones_or_none(numbers):
    """A display subscribes, and a source has no fix yet."""
    values = np.array(numbers)
    found = footprint(locator(), Pose(values[:3], values[3:]))
    assert found is None or np.isfinite(found).all()
