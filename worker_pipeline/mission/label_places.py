"""Where to put labels on a map, so that each stands beside its spot and on nothing else."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from worker_pipeline.mission.canvas import Box, Point

# From the spot to where the label goes, best first: right, left, above, below, and between them.
_DIRECTIONS = ((1, 0), (-1, 0), (1, -1), (1, 1), (-1, -1), (-1, 1), (0, -1), (0, 1))
_GAPS = (4.0, 14.0, 30.0, 50.0)  # pixels


class LabelPlaces:
    """The room on a map. ``edges``: of the map; ``line``: what had better not be covered."""

    def __init__(self, edges: Box, line: Sequence[Point] = ()) -> None:
        self._edges = edges
        self._taken: list[Box] = []
        self._line = np.array(line, dtype=float).reshape(-1, 2)

    def take(self, box: Box) -> None:
        """No label goes here."""
        self._taken.append(box)

    def take_spot(self, spot: Point, radius: float) -> None:
        """No label goes on this symbol."""
        u, v = spot
        self.take((u - radius, v - radius, u + radius, v + radius))

    def place(self, spot: Point, radius: float, size: tuple[float, float]) -> Box:
        """Where a label of this width and height goes, which is now taken.

        ``radius``: of the symbol at the spot.
        """
        candidates = (
            _beside(spot, radius + gap, size, direction)
            for gap, direction in itertools.product(_GAPS, _DIRECTIONS)
        )
        best = min(candidates, key=self._cost)
        self.take(best)
        return best

    def _cost(self, box: Box) -> float:
        """Pixels that are covered; those beyond the edge count more, the line's less."""
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
    # At a corner as far from the symbol as at a side.
    reach *= math.sqrt(0.5) if right and down else 1.0
    middle_u = spot[0] + right * (reach + size[0] / 2)
    middle_v = spot[1] + down * (reach + size[1] / 2)
    left, top = middle_u - size[0] / 2, middle_v - size[1] / 2
    return left, top, left + size[0], top + size[1]


def _overlap(first: Box, second: Box) -> float:
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    return max(0.0, width) * max(0.0, height)
