# SPDX-License-Identifier: Apache-2.0
"""Lenses and the inversion of their distortion."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from worker_pipeline.airside.geometry.distortion import LensDistortion
from worker_pipeline.airside.geometry.pinhole import PinholeCamera

# From strong barrels to strong pincushions, badly centred: more than any survey lens.
lenses = st.builds(
    LensDistortion,
    st.floats(-0.6, 0.6),
    st.floats(-0.3, 0.3),
    st.floats(-0.01, 0.01),
    st.floats(-0.01, 0.01),
    st.floats(-0.1, 0.1),
)
pixels = st.lists(st.tuples(st.floats(-0.5, 1919.5), st.floats(-0.5, 1199.5)), min_size=1)
WIDE = (1920, 1200, 1100.0, 1090.0, 950.0, 610.0)  # 82 degrees across
POINTS = np.stack(np.meshgrid(np.linspace(-0.8, 0.8, 33), np.linspace(-0.6, 0.6, 25)), 2)


def coefficients(lens):
    return np.array([lens.k1, lens.k2, lens.p1, lens.p2, lens.k3])


@given(lenses, pixels)
def test_rays_and_pixels_are_inverse_to_each_other(lens, pixels):
    """To a millionth of a pixel; no pixel has a wrong ray."""
    camera = PinholeCamera(*WIDE, lens)
    rays = camera.rays(np.array(pixels))
    found = np.isfinite(rays).all(axis=1)
    again = camera.project(rays[found] * 7.0)
    np.testing.assert_allclose(again, np.array(pixels)[found], rtol=0, atol=1e-6)


@given(lenses, st.floats(-0.8, 0.8), st.floats(-0.6, 0.6))
def test_every_point_with_a_pixel_has_its_ray(lens, x, y):
    """Except near the fold, where a millionth of a pixel is far in rays."""
    camera = PinholeCamera(*WIDE, lens)
    assume(np.hypot(x, y) < 0.9 * lens.limit)
    assume(np.linalg.cond(lens.jacobian(np.array([[x, y]]))[0]) < 10)
    pixel = camera.project([[x, y, 1.0]])
    assume(np.isfinite(pixel).all())
    np.testing.assert_allclose(camera.rays(pixel)[0, :2], [x, y], rtol=0, atol=1e-9)


@given(lenses, st.floats(1e-6, 3.0), st.floats(-3.2, 3.2))
def test_a_point_past_the_fold_has_no_pixel(lens, radius, angle):
    assume(np.isfinite(lens.limit))
    place = (lens.limit + radius) * np.array([[np.cos(angle), np.sin(angle)]])
    assert np.isnan(lens.distort(place)).all()


@given(lenses)
def test_the_model_is_that_of_opencv(lens):
    camera = PinholeCamera(*WIDE, lens)
    points = POINTS.reshape(-1, 2)
    points = points[np.isfinite(lens.distort(points)).all(axis=1)]
    expected, _ = cv2.projectPoints(
        np.column_stack([points, np.ones(len(points))]),
        np.zeros(3),
        np.zeros(3),
        camera.matrix,
        coefficients(lens),
    )
    found = camera.project(np.column_stack([points, np.ones(len(points))]))
    np.testing.assert_allclose(found, expected.reshape(-1, 2), rtol=0, atol=1e-8)


@given(lenses, st.floats(-0.5, 0.5), st.floats(-0.5, 0.5))
def test_the_jacobian_is_the_derivative(lens, x, y):
    step = 1e-6
    around = np.array([[x + step, y], [x - step, y], [x, y + step], [x, y - step]])
    moved = lens._distorted(around)
    numerical = np.column_stack([moved[0] - moved[1], moved[2] - moved[3]]) / (2 * step)
    np.testing.assert_allclose(lens.jacobian(np.array([[x, y]]))[0], numerical, atol=1e-7)


def test_a_pixel_that_no_ray_reaches_has_no_ray():
    """This barrel reaches two thirds of its limit: the corners receive no light."""
    camera = PinholeCamera(1920, 1200, 1000.0, 1000.0, 959.5, 599.5, LensDistortion(k1=-0.5))
    assert camera.distortion.limit == pytest.approx(np.sqrt(1 / 1.5))
    found = np.isfinite(camera.rays([[959.5, 599.5], [1500.0, 599.5], [1510.0, 599.5], [0, 0]]))
    assert found[:, 0].tolist() == [True, True, False, False]


def test_an_ideal_lens_changes_nothing():
    lens = LensDistortion()
    assert lens.is_none
    points = POINTS.reshape(-1, 2)
    np.testing.assert_array_equal(lens.undistort(points), points)
    np.testing.assert_array_equal(lens.distort(points), points)
