# SPDX-License-Identifier: Apache-2.0
"""Round pads of any size, on ground of similar and of different colour."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from worker_pipeline.airside.detect_target import DetectTarget
from worker_pipeline.airside.detectors.contour import ContourDetector

ORANGE = (20, 105, 245)
GROUND = (80, 130, 100)


def detector(**params):
    stage = DetectTarget()
    stage.bind(params)
    return ContourDetector(stage.params)


def ground(*discs, colour=ORANGE, size=(1920, 1200)):
    """Return even ground with discs: u, v and radius of each."""
    pixels = np.full((*size[::-1], 3), GROUND, np.uint8)
    for u, v, radius in discs:
        cv2.circle(pixels, (u, v), radius, colour, -1, cv2.LINE_AA)
    return pixels


@pytest.mark.parametrize('radius', [10, 23, 171, 300])
def test_pads_are_found_from_10_to_75_m(radius):
    """1.2 m across is 342 pixels from 10 m, 46 from 75 m."""
    (found,) = detector().detect(ground((700, 500, radius)))
    np.testing.assert_allclose([found['u'], found['v']], [700, 500], atol=0.5)
    assert found['x2'] - found['x1'] == pytest.approx(2 * radius + 1, abs=3)


def test_pads_that_fill_a_third_of_the_view_are_detected():
    discs = [(400, 300, 250), (1000, 600, 250), (1600, 900, 250), (300, 900, 250)]
    assert len(detector().detect(ground(*discs))) == 4


def test_a_pad_is_separated_from_colourful_ground_beside_it():
    pixels = ground((700, 500, 60))
    # A ragged patch of half the pad's contrast, touching it.
    half = tuple((np.array(ORANGE) * 0.45 + np.array(GROUND) * 0.55).astype(int).tolist())
    path = [(u, 490 + 40 * (u // 20 % 2)) for u in range(755, 900, 20)]
    cv2.polylines(pixels, [np.array(path)], False, half, 8)
    (found,) = detector().detect(pixels)
    np.testing.assert_allclose([found['u'], found['v']], [700, 500], atol=1.0)


@pytest.mark.slow
def test_ground_without_a_sharp_edge_is_not_detected():
    """Like a bush, which has no sharp edge anywhere."""
    v, u = np.mgrid[0:1200, 0:1920]
    share = np.exp(-((u - 900.0) ** 2 + (v - 600.0) ** 2) / (2 * 60.0**2))[:, :, None]
    faded = np.array(GROUND) + 0.5 * share * (np.array(ORANGE) - GROUND)
    assert len(detector().detect(faded.astype(np.uint8))) == 0
