# SPDX-License-Identifier: Apache-2.0
"""Oriented boxes."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.airside.detectors.oriented import bounds, outlines, suppress_oriented

ANGLES = st.floats(-math.pi, math.pi)
SIDES = st.floats(1.0, 100.0)


def boxes_of(*rows):
    """Return corners from middle and size."""
    table = np.array(rows, np.float64)
    return np.hstack([table[:, :2] - table[:, 2:] / 2, table[:, :2] + table[:, 2:] / 2])


@given(SIDES, SIDES, ANGLES)
def test_an_outline_keeps_its_middle_and_its_sides(width, height, angle):
    corners = outlines(boxes_of([7, 5, width, height]), np.array([angle]))[0]
    np.testing.assert_allclose(corners.mean(axis=0), [7, 5], atol=1e-9)
    edges = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
    np.testing.assert_allclose(edges, [width, height, width, height], rtol=1e-9)
    along = corners[1] - corners[0]
    np.testing.assert_allclose(along / width, [math.cos(angle), math.sin(angle)], atol=1e-9)


def test_a_quarter_turn_exchanges_width_and_height():
    corners = outlines(boxes_of([10, 20, 8, 4]), np.array([math.pi / 2]))
    np.testing.assert_allclose(bounds(corners), [[8, 16, 12, 24]])


def test_the_most_confident_of_similar_boxes_of_a_class_stays():
    boxes = boxes_of([50, 50, 40, 8], [51, 50, 40, 8], [50, 50, 40, 8], [50, 50, 40, 8])
    angles = np.array([0.3, 0.3, 0.3 + math.pi / 2, 0.3])
    kept = suppress_oriented(
        boxes, angles, np.array([0.7, 0.9, 0.8, 0.6]), np.array([0, 0, 0, 1]), 0.45
    )
    # The third lies across, the fourth is of another class.
    np.testing.assert_array_equal(kept, [1, 2, 3])


def test_the_similarity_is_that_of_the_exporter():
    """Checked with ultralytics 8.4.190: the two are similar by 0.8002."""
    boxes = boxes_of([50, 50, 40, 10], [54, 51, 36, 12])
    angles, sure, label = np.array([0.2, 0.3]), np.array([0.9, 0.8]), np.zeros(2)
    for overlap, kept in ((0.801, [0, 1]), (0.799, [0])):
        found = suppress_oriented(boxes, angles, sure, label, overlap)
        np.testing.assert_array_equal(found, kept)


def test_many_boxes_are_compared_in_parts_with_the_same_result():
    """Pairs of the same box, far from the other pairs: the less confident of each goes."""
    count = 700
    middles = np.repeat(np.arange(count) * 1000.0, 2)
    boxes = boxes_of(*([each, 0, 40, 10] for each in middles))
    confidences = np.random.default_rng(0).uniform(0.1, 1, 2 * count)
    kept = suppress_oriented(boxes, np.full(2 * count, 0.3), confidences, np.zeros(2 * count), 0.5)
    better = np.arange(0, 2 * count, 2) + (confidences[1::2] > confidences[::2])
    np.testing.assert_array_equal(np.sort(kept), better)
    assert (np.diff(confidences[kept]) <= 0).all()
