# SPDX-License-Identifier: Apache-2.0
"""The centroid and the foot of masks."""

from __future__ import annotations

import numpy as np

from worker_pipeline.airside.common.opencv import cv2
from worker_pipeline.airside.detectors.masks import mask_points

SIZE = (128, 96)


def prototypes(seed=0):
    return np.random.default_rng(seed).normal(0, 1, (4, 24, 32))


def whole_mask_points(shapes, coefficients, box):
    """Return the points as computed from the mask of the whole input."""
    level = np.tensordot(coefficients, shapes, axes=1).astype(np.float32)
    full = cv2.resize(level, SIZE, interpolation=cv2.INTER_LINEAR)
    v, u = np.nonzero(full > 0)
    within = (u >= box[0]) & (u < box[2]) & (v >= box[1]) & (v < box[3])
    u, v = u[within], v[within]
    lowest = v.max()
    return [u.mean() + 0.5, v.mean() + 0.5, u[v == lowest].mean() + 0.5, lowest + 1]


def test_only_the_part_in_the_box_is_computed_with_the_same_result():
    random = np.random.default_rng(1)
    for _ in range(50):
        coefficients = random.normal(0, 1, 4)
        low = random.uniform(-10, 80, 2)
        box = np.hstack([low, low + random.uniform(8, 80, 2)])
        found = mask_points(prototypes(), coefficients[None], box[None], SIZE)
        np.testing.assert_allclose(
            found[0], whole_mask_points(prototypes(), coefficients, box), atol=1e-6
        )


def test_an_object_that_leans_has_its_foot_at_its_lower_end():
    shape = np.full((1, 24, 32), -1.0)
    for row in range(6, 18):
        shape[0, row, row : row + 3] = 1.0
    box = np.array([[0.0, 0.0, 128.0, 96.0]])
    centroid_u, centroid_v, foot_u, foot_v = mask_points(shape, np.ones((1, 1)), box, SIZE)[0]
    assert abs(centroid_u - 4 * 13) < 2
    assert abs(centroid_v - 4 * 12) < 2
    assert abs(foot_u - 4 * 18.5) < 3
    assert abs(foot_v - 4 * 18) <= 2


def test_without_a_mask_there_is_no_point():
    nothing = np.full((1, 24, 32), -1.0)
    boxes = np.array([[0.0, 0.0, 50.0, 50.0], [500.0, 0.0, 600.0, 50.0]])
    assert np.isnan(mask_points(nothing, np.ones((2, 1)), boxes, SIZE)).all()
