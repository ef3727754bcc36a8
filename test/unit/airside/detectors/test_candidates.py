# SPDX-License-Identifier: Apache-2.0
"""Boxes, confidences and classes in outputs of each layout."""

from __future__ import annotations

import numpy as np
import pytest

from worker_pipeline.airside.detectors.candidates import candidates
from worker_pipeline.airside.detectors.output_layout import Form

SIZE = (64, 32)
# Cells of the grids of strides 8, 16 and 32.
CELLS = 8 * 4 + 4 * 2 + 2 * 1


def seen(layout, *outputs, task='detect', classes=2, second=None):
    form = Form(layout, task, classes, 0, second)
    return candidates([np.array(each, np.float32) for each in outputs], form, SIZE)


@pytest.mark.parametrize(
    ('layout', 'rows'),
    [
        ('v5', [[20, 10, 8, 4, 0.8, 0.1, 0.5]]),
        ('v8', np.transpose([[20, 10, 8, 4, 0.1, 0.4]])),
        ('end_to_end', [[16, 8, 24, 12, 0.4, 1]]),
        ('rtdetr', [[20 / 64, 10 / 32, 8 / 64, 4 / 32, 0.4, 1]]),
        ('rtdetr_scores', [[20 / 64, 10 / 32, 8 / 64, 4 / 32, 0.1, 0.4]]),
        ('yolox_decoded', [[20, 10, 8, 4, 0.8, 0.1, 0.5]]),
    ],
)
def test_the_same_box_is_read_from_each_layout(layout, rows):
    found = seen(layout, rows)
    np.testing.assert_allclose(found.boxes, [[16, 8, 24, 12]], atol=1e-4)
    np.testing.assert_allclose(found.confidences, [0.4], atol=1e-6)
    np.testing.assert_array_equal(found.classes, [1])


@pytest.mark.parametrize(
    ('cell', 'middle', 'side'),
    [
        (0, (4, 4), 8),
        (8 + 3, (3 * 8 + 4, 8 + 4), 8),
        (32 + 4 + 1, (16 + 8, 16 + 8), 16),
        (CELLS - 1, (32 + 16, 16), 32),
    ],
)
def test_a_cell_of_yolox_has_its_place_and_scale(cell, middle, side):
    rows = np.zeros((CELLS, 7), np.float32)
    rows[cell] = [0.5, 0.5, np.log(2), 0, 0.8, 0.1, 0.5]
    found = seen('yolox', rows)
    best = found.boxes[found.confidences.argmax()]
    u, v = middle
    np.testing.assert_allclose(best, [u - side, v - side / 2, u + side, v + side / 2], rtol=1e-6)


def logit(score):
    return np.log(score / (1 - score))


def test_a_query_of_rfdetr_may_be_of_two_classes():
    boxes = [[20 / 64, 10 / 32, 8 / 64, 4 / 32], [0.5, 0.5, 0.1, 0.1], [0.2, 0.2, 0.1, 0.1]]
    logits = [
        [logit(0.9), logit(0.8), logit(0.95)],  # the last is the background
        [logit(0.7), logit(0.1), 0],
        [logit(0.2), logit(0.2), 0],
    ]
    found = seen('rfdetr', boxes, logits, second=1)
    np.testing.assert_allclose(found.confidences, [0.9, 0.8, 0.7], atol=1e-6)
    np.testing.assert_array_equal(found.classes, [0, 1, 0])
    np.testing.assert_allclose(found.boxes[:2], [[16, 8, 24, 12]] * 2, atol=1e-4)


def test_with_a_softmax_the_last_column_is_for_no_object():
    logits = np.log([[0.6, 0.1, 0.3], [0.05, 0.05, 0.9]])
    found = seen('detr_softmax', [[0.5, 0.5, 0.1, 0.1]] * 2, logits, second=1)
    np.testing.assert_allclose(found.confidences, [0.6, 0.05], atol=1e-6)
    np.testing.assert_array_equal(found.classes, [0, 0])


@pytest.mark.parametrize(
    ('layout', 'row'),
    [('v8', [20, 10, 8, 4, 0.1, 0.4, 1.5]), ('end_to_end', [20, 10, 8, 4, 0.4, 1, 1.5])],
)
def test_an_oriented_box_is_middle_and_size_with_an_angle(layout, row):
    found = seen(layout, np.transpose([row]) if layout == 'v8' else [row], task='obb')
    np.testing.assert_allclose(found.boxes, [[16, 8, 24, 12]])
    np.testing.assert_allclose(found.extras, [[1.5]])
    np.testing.assert_allclose(found.confidences, [0.4], atol=1e-6)


def test_non_finite_values_and_empty_boxes_are_not_sure():
    rows = [
        [0, 0, 4, 4, 0.9, 1],
        [0, 0, np.nan, 4, 0.9, 1],
        [0, 0, 4, 4, np.nan, 1],
        [0, 0, 4, 4, 0.9, np.inf],
        [4, 4, 4, 8, 0.9, 1],
        [0, 0, 4, 4, 0.1, 1],
    ]
    np.testing.assert_allclose(seen('end_to_end', rows).sure(0.5).boxes, [[0, 0, 4, 4]])
