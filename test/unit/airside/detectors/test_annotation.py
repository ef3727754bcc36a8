# SPDX-License-Identifier: Apache-2.0
"""Drawing of detections on an image."""

from __future__ import annotations

import numpy as np
import pytest

from worker_pipeline.airside.detectors.annotation import draw_detections
from worker_pipeline.airside.messages.records import DETECTION, NO_LABEL, UPRIGHT

SEEN = np.array(
    [
        (100, 60, 140, 80, 120, 70, 7, 0.9, *UPRIGHT),
        (200, 100, 240, 140, 220, 120, NO_LABEL, 0.8, *UPRIGHT),
    ],
    DETECTION,
)


@pytest.mark.parametrize(('scale', 'shape'), [(1.0, (200, 300, 3)), (0.5, (100, 150, 3))])
def test_boxes_are_drawn_on_a_scaled_copy(scale, shape):
    pixels = np.zeros((200, 300, 3), np.uint8)
    picture = draw_detections(pixels, SEEN, {}, scale)
    assert picture.shape == shape
    assert not pixels.any()
    # An edge of each box, halfway down, and nothing outside.
    for record in SEEN:
        v = round(scale * (record['y1'] + record['y2']) / 2) - 8 // round(1 / scale)
        assert picture[v, round(scale * float(record['x1']) - (scale == 0.5) * 0.25)].any()
    assert not picture[round(150 * scale) :].any()


def test_a_label_with_a_name_is_written_as_the_name():
    pixels = np.zeros((200, 300, 3), np.uint8)
    numbered, named = (
        draw_detections(pixels, SEEN[:1], names, 1.0) for names in ({}, {7: 'a tent'})
    )
    assert named.any(axis=(0, 2)).sum() > numbered.any(axis=(0, 2)).sum()


def test_an_oriented_box_is_drawn_turned():
    pixels = np.zeros((200, 300, 3), np.uint8)
    turned = np.array([(80, 80, 160, 160, 120, 120, 7, 0.9, np.pi / 4, 80, 32)], DETECTION)
    picture = draw_detections(pixels, turned, {}, 1.0)
    # Its middle line leads from the upper left to the lower right; 16 pixels beside it are edges.
    beside = 16 / np.sqrt(2)
    for along in (-20, 20):
        u, v = round(120 + along + beside), round(120 + along - beside)
        assert picture[v - 2 : v + 3, u - 2 : u + 3].any()
    assert not picture[80:88, 80:88].any()
