# SPDX-License-Identifier: Apache-2.0
"""Placement of labels on a map, beside their symbols and without overlap."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from worker_pipeline.airside.mission.canvas import Box, Point

# Directions from the symbol to the label, best first: right, left, above, below, diagonal.
_DIRECTIONS = ((1, 0), (-1, 0), (1, -1), (1, 1), (-1, -1), (-1, 1), (0, -1), (0, 1))
_GAPS = (4.0, 14.0, 30.0, 50.0)  # pixels


class LabelLayout:
    """The free space on a map. ``edges``: of the map; ``line``: avoided if possible."""

    def __init__(self, edges: Box, line: Sequence[Point] = ()) -> None:
        self._edges = edges
        self._taken: list[Box] = []
        self._line = np.array(line, dtype=float).reshape(-1, 2)

    def reserve(self, box: Box) -> None:
        """Keep labels off a box."""
        self._taken.append(box)

    def reserve_spot(self, spot: Point, radius: float) -> None:
        """Keep labels off a symbol."""
        u, v = spot
        self.reserve((u - radius, v - radius, u + radius, v + radius))

    def place(self, spot: Point, radius: float, size: tuple[float, float]) -> Box:
        """Return the box for a label of this width and height, and reserve it.

        Args:
            spot: Centre of the symbol.
            radius: Radius of the symbol.
            size: Width and height of the label.
        """
        candidates = (
            _beside(spot, radius + gap, size, direction)
            for gap, direction in itertools.product(_GAPS, _DIRECTIONS)
        )
        best = min(candidates, key=self._cost)
        self.reserve(best)
        return best

    def _cost(self, box: Box) -> float:
        """Return the covered pixels; those beyond the edge count more, those of the line less."""
        left, top, right, bottom = box
        outside = (right - left) * (bottom - top) - _overlap(box, self._edges)
        covered = sum(_overlap(box, each) for each in self._taken)
        u, v = self._line.T
        crossed = (u > left) & (u < right) & (v > top) & (v < bottom)
        return 10 * outside + covered + int(crossed.sum())


def _beside(
    spot: Point, reach: float, size: tuple[float, float], direction: tuple[int, int]
) -> Box:
    right, down = direction
    # A diagonal label is as far from the symbol as a horizontal one.
    reach *= math.sqrt(0.5) if right and down else 1.0
    middle_u = spot[0] + right * (reach + size[0] / 2)
    middle_v = spot[1] + down * (reach + size[1] / 2)
    left, top = middle_u - size[0] / 2, middle_v - size[1] / 2
    return left, top, left + size[0], top + size[1]


def _overlap(first: Box, second: Box) -> float:
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    return max(0.0, width) * max(0.0, height)
