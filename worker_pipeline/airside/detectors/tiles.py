# SPDX-License-Identifier: Apache-2.0
"""Overlapping tiles of an image, so that small objects are not reduced away.

As in Akyon et al., "Slicing Aided Hyper Inference and Fine-tuning for Small Object Detection"
(2022).
"""

from __future__ import annotations

import math

import attrs
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_SAME = 0.5  # intersection over the smaller box from which two are of one object
_AT_EDGE = 2.0  # pixels: a box that ends so close to a tile's edge is cut by it


@attrs.frozen
class Tile:
    """A part of an image: left and top, width and height, pixels."""

    left: int
    top: int
    width: int
    height: int


def tiles_of(image: tuple[int, int], side: int, overlap: float) -> list[Tile]:
    """Return the square tiles that cover an image (width, height), evenly spread.

    Args:
        image: Width and height, pixels. A side shorter than a tile's is covered by one.
        side: The side of a tile, pixels.
        overlap: The smallest share of a tile that it has in common with the next.
    """
    lefts, tops = (_starts(length, side, overlap) for length in image)
    width, height = (min(side, length) for length in image)
    return [Tile(left, top, width, height) for top in tops for left in lefts]


def _starts(length: int, side: int, overlap: float) -> list[int]:
    if length <= side:
        return [0]
    step = max(1, math.floor(side * (1 - overlap)))
    count = math.ceil((length - side) / step) + 1
    return [round(number * (length - side) / (count - 1)) for number in range(count)]


def is_cut(boxes: Floats, tile: Tile, image: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Return which boxes (N, 4), pixels of the image, end at an edge that is only the tile's."""
    inner = np.array(
        [
            tile.left > 0,
            tile.top > 0,
            tile.left + tile.width < image[0],
            tile.top + tile.height < image[1],
        ]
    )
    edges = np.array([tile.left, tile.top, tile.left + tile.width, tile.top + tile.height]) - 0.5
    return np.asarray(((np.abs(boxes - edges) <= _AT_EDGE) & inner).any(axis=1))


def merge(
    boxes: Floats,
    confidences: Floats,
    classes: npt.NDArray[np.generic],
    cut: npt.NDArray[np.bool_],
) -> npt.NDArray[np.intp]:
    """Return the indices of the boxes (N, 4) that stay: one for each object, of each class.

    A whole box stays rather than one that a tile's edge has cut, then the more confident one.
    Boxes of one object need not overlap by much of their union, if one is cut: the intersection
    over the smaller one counts.
    """
    order = np.lexsort((-confidences, cut))
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    kept: list[int] = []
    while len(order):
        best, order = int(order[0]), order[1:]
        kept.append(best)
        low = np.maximum(boxes[best, :2], boxes[order, :2])
        high = np.minimum(boxes[best, 2:], boxes[order, 2:])
        common = np.prod(np.clip(high - low, 0.0, None), axis=1)
        smaller = np.minimum(areas[best], areas[order])
        same = (classes[order] == classes[best]) & (common > _SAME * smaller)
        order = order[~same]
    return np.array(kept, np.intp)
