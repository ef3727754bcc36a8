# SPDX-License-Identifier: Apache-2.0
"""The reduction of an image with a filter as wide as the reduction."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.airside.detectors.antialiasing import resize_smoothly

SIDES = st.integers(1, 60)


@given(SIDES, SIDES, SIDES, SIDES, st.integers(0, 255))
def test_a_uniform_image_stays_uniform(width, height, new_width, new_height, level):
    pixels = np.full((height, width, 3), level, np.uint8)
    resized = resize_smoothly(pixels, (new_width, new_height))
    assert resized.shape == (new_height, new_width, 3)
    assert (resized == level).all()


def test_no_pixel_is_left_out_of_a_reduction():
    """OpenCV's linear interpolation takes two of ten pixels, so a line between them vanishes."""
    for column in range(40):
        pixels = np.zeros((40, 40, 3), np.uint8)
        pixels[:, column] = 250
        assert resize_smoothly(pixels, (4, 4)).max() > 0


def test_a_reduction_is_that_of_a_triangular_filter():
    """From four to two: the weights are 3, 3, 1 at the edge, of 7."""
    row = np.array([70, 140, 210, 35], np.uint8)
    resized = resize_smoothly(np.tile(row[None, :, None], (1, 1, 3)), (2, 1))[0, :, 0]
    assert list(resized) == [
        pytest.approx((3 * 70 + 3 * 140 + 210) / 7, abs=0.5),
        pytest.approx((140 + 3 * 210 + 3 * 35) / 7, abs=0.5),
    ]


def test_an_enlargement_interpolates():
    row = np.array([0, 100], np.uint8)
    resized = resize_smoothly(np.tile(row[None, :, None], (1, 1, 3)), (4, 1))[0, :, 0]
    assert list(resized) == [0, 25, 75, 100]
