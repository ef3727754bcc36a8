# SPDX-License-Identifier: Apache-2.0
"""The mask of ground that was seen."""

from __future__ import annotations

import numpy as np

from worker_pipeline.airside.mission.coverage import coverage_mask, dim_outside, outlines

# Two that overlap, and one that extends beyond the image.
FOOTPRINTS = np.array(
    [
        [[10, 10], [50, 10], [50, 40], [10, 40]],
        [[40, 20], [80, 20], [80, 50], [40, 50]],
        [[90, 80], [190, 80], [190, 190], [90, 190]],
    ],
    dtype=float,
)


def test_the_mask_covers_the_ground_of_every_image():
    mask = coverage_mask(FOOTPRINTS, 100, 100)
    for u, v in ((12, 12), (45, 30), (78, 48), (95, 95)):
        assert mask[v, u] == 255
    for u, v in ((5, 5), (60, 12), (20, 45), (85, 85)):
        assert mask[v, u] == 0
    assert not coverage_mask(np.empty((0, 4, 2)), 100, 100).any()


def test_connected_ground_has_one_outline():
    edges = outlines(coverage_mask(FOOTPRINTS, 100, 100))
    assert len(edges) == 2
    together = max(edges, key=len)
    assert together.min(axis=0).tolist() == [10, 10]
    assert together.max(axis=0).tolist() == [80, 50]


def test_unseen_ground_is_darker_and_greyer():
    pixels = np.full((100, 100, 3), (40, 200, 80), np.uint8)
    shown = dim_outside(pixels, coverage_mask(FOOTPRINTS, 100, 100)).astype(int)
    assert shown[30, 30].tolist() == [40, 200, 80]
    unseen = shown[70, 30]
    assert unseen.sum() < 0.8 * shown[30, 30].sum()
    assert np.ptp(unseen) < 0.5 * np.ptp(shown[30, 30])
    assert unseen.min() > 30, 'the ground is still visible'
