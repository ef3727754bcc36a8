# SPDX-License-Identifier: Apache-2.0
"""Tiles of an image, and the merging of what is found in them."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.airside.detectors.tiles import Tile, is_cut, merge, tiles_of


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(32, 1000), st.floats(0.0, 0.9))
def test_tiles_cover_the_image_and_overlap_enough(width, height, side, overlap):
    tiles = tiles_of((width, height), side, overlap)
    assert len(set(tiles)) == len(tiles)
    for starts, length in (
        (sorted({tile.left for tile in tiles}), width),
        (sorted({tile.top for tile in tiles}), height),
    ):
        extent = min(side, length)
        assert starts[0] == 0
        assert starts[-1] + extent == length
        # Rounded to whole pixels.
        common = [extent - (later - earlier) for earlier, later in itertools.pairwise(starts)]
        assert all(each >= overlap * side - 1 for each in common)
    assert all(tile.width == min(side, width) for tile in tiles)
    assert all(tile.height == min(side, height) for tile in tiles)


def test_a_box_at_an_inner_edge_is_cut():
    tile = Tile(100, 0, 200, 200)
    boxes = np.array(
        [
            [150, 20, 299.5, 60],  # at the right edge
            [99.5, 20, 150, 60],  # at the left edge
            [150, -0.5, 200, 60],  # at the image's own edge
            [150, 20, 200, 60],
        ]
    )
    np.testing.assert_array_equal(is_cut(boxes, tile, (400, 400)), [True, True, False, False])


def test_a_whole_box_stays_rather_than_a_part_of_it():
    boxes = np.array(
        [[0, 0, 100, 40], [60, 0, 100, 40], [60, 0, 100, 40], [300, 0, 340, 40]], float
    )
    confidences = np.array([0.6, 0.9, 0.8, 0.5])
    classes = np.array([0, 0, 1, 0])
    cut = np.array([False, True, True, False])
    kept = merge(boxes, confidences, classes, cut)
    assert sorted(kept) == [0, 2, 3]
