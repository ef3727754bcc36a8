# SPDX-License-Identifier: Apache-2.0
"""The output layouts of the YOLO family."""

from __future__ import annotations

import numpy as np
import pytest

from worker_pipeline.airside.detectors.yolo_output import candidates, layout_of

SIZE = (640, 640)


@pytest.mark.parametrize(
    ('shape', 'size', 'classes', 'layout'),
    [
        ((1, 25200, 85), SIZE, None, 'v5'),
        ((1, 25200, 85), SIZE, 80, 'v5'),
        ((1, 84, 8400), SIZE, None, 'v8'),
        ((1, 5, 8400), SIZE, 1, 'v8'),
        ((1, 300, 6), SIZE, 80, 'end_to_end'),
        ((1, 300, 6), SIZE, 1, 'end_to_end'),
        ((1, 25200, 6), SIZE, 1, 'v5'),
        ((1, 25200, 6), SIZE, None, 'v5'),
        ((1, 25200, 6), SIZE, 3, 'end_to_end'),
        ((1, 15120, 6), (640, 384), 1, 'v5'),
        ((1, 102000, 6), (1280, 1280), 1, 'v5'),
    ],
)
def test_a_layout_is_recognised_by_its_shape(shape, size, classes, layout):
    assert layout_of(shape, size, classes) == layout


@pytest.mark.parametrize(
    ('shape', 'classes'),
    [((1, 116, 8400), 80), ((1, 8400, 4), None), ((2, 84, 8400), None), ((8400, 6), None)],
    ids=['masks', 'boxes alone', 'two images', 'no batch'],
)
def test_an_unknown_layout_is_reported(shape, classes):
    with pytest.raises(ValueError, match=r'output: found shape .*; allowed: v5.*v8.*end_to_end'):
        layout_of(shape, SIZE, classes)


def test_a_configured_layout_is_the_only_one_accepted():
    assert layout_of((1, 300, 6), SIZE, 1, asked='v5') == 'v5'
    with pytest.raises(ValueError, match=r'found shape \(1, 300, 6\); allowed: v8'):
        layout_of((1, 300, 6), SIZE, 2, asked='v8')


def test_non_finite_values_and_empty_boxes_are_left_out():
    rows = [
        [0, 0, 4, 4, 0.9, 1],
        [0, 0, np.nan, 4, 0.9, 1],
        [0, 0, 4, 4, np.nan, 1],
        [0, 0, 4, 4, 0.9, np.inf],
        [4, 4, 4, 8, 0.9, 1],
        [0, 0, 4, 4, 0.1, 1],
    ]
    found = candidates(np.array(rows, np.float32), 'end_to_end', 0.5)
    np.testing.assert_allclose(found.boxes, [[0, 0, 4, 4]])
