# SPDX-License-Identifier: Apache-2.0
"""Terrain: heights on a grid, and the intersection of a ray with them."""

from __future__ import annotations

import attrs
import numpy as np

from worker_pipeline.airside.geometry.rotations import Matrix, Vector

# A ray this far below the ground, m, counts as on it: the extent of its rounding errors.
_TOLERANCE = 1e-9


@attrs.frozen(eq=False)
class ElevationGrid:
    """Heights at the nodes of a square grid, with bilinear interpolation.

    ``heights``: (rows, columns), m, from south to north and from west to east; NaN where unknown.
    ``west``, ``south``: m, the first node. ``spacing``: m, between neighbours.
    """

    heights: Matrix
    west: float
    south: float
    spacing: float
    # Over all heights, m; NaN if none is known.
    _lowest: float = attrs.field(init=False)
    _highest: float = attrs.field(init=False)

    @_lowest.default
    def _find_lowest(self) -> float:
        return float(np.fmin.reduce(self.heights, axis=None))

    @_highest.default
    def _find_highest(self) -> float:
        return float(np.fmax.reduce(self.heights, axis=None))

    def height(self, east: Vector, north: Vector) -> Vector:
        """Return the ground's height at positions (N,), m; NaN outside the grid or if unknown."""
        x, y = self._in_cells(east, north)
        rows, columns = self.heights.shape
        inside = (x >= 0) & (x <= columns - 1) & (y >= 0) & (y <= rows - 1)
        heights = self._between(np.where(inside, x, 0.0), np.where(inside, y, 0.0))
        return np.where(inside, heights, np.nan)

    def normal(self, east: float, north: float) -> Vector:
        """Return the ground's normal (3,) at a position within the grid, with z = 1."""
        x, y = self._in_cells(np.array([east]), np.array([north]))
        (u, v), (lower, upper) = self._cell(x, y)
        slope_x = (1 - v) * (lower[1] - lower[0]) + v * (upper[1] - upper[0])
        slope_y = (1 - u) * (upper[0] - lower[0]) + u * (upper[1] - lower[1])
        return np.array([-slope_x[0] / self.spacing, -slope_y[0] / self.spacing, 1.0])

    def intersect(self, origin: Vector, direction: Vector) -> Vector:
        """Return where a ray from ``origin`` (3,) first meets the ground: (3,), m.

        NaN if it does not, or if it comes from below, or passes below the grid's edge or below
        unknown ground: then it has met the ground before, at an unknown point.
        """
        # Between two grid lines the ground along a ray is a parabola, which three points determine,
        # so no step can be too long.
        times = self._crossings(origin, direction)
        nowhere = np.full(3, np.nan)
        if len(times) < 2:
            return nowhere
        begin, end = times[:-1], times[1:]
        middle = (begin + end) / 2
        points = [origin + time[:, None] * direction for time in (begin, middle, end)]
        cells = self._in_cells(points[1][:, 0], points[1][:, 1])
        above = [
            each[:, 2] - self._between(*self._in_cells(each[:, 0], each[:, 1]), cells)
            for each in points
        ]
        share = _first_root(*above)
        met = np.flatnonzero(np.isfinite(share))
        below = np.flatnonzero(above[0] < -_TOLERANCE)
        if not len(met) or (len(below) and below[0] <= met[0]):
            return nowhere
        first = met[0]
        time = begin[first] + share[first] * (end[first] - begin[first])
        return np.asarray(origin + time * direction)

    def _crossings(self, origin: Vector, direction: Vector) -> Vector:
        """Return the ray parameters where a ray enters, crosses the grid lines, and leaves.

        Empty if it never is above the grid between the lowest and the highest ground.
        """
        rows, columns = self.heights.shape
        start = np.array([*self._in_cells(origin[0], origin[1]), origin[2]])
        speed = direction / [self.spacing, self.spacing, 1.0]
        low = np.array([0.0, 0.0, self._lowest - _TOLERANCE])
        high = np.array([columns - 1.0, rows - 1.0, self._highest + _TOLERANCE])
        moves = speed != 0
        if ((start < low) | (start > high))[~moves].any():
            return np.empty(0)
        with np.errstate(over='ignore'):
            bounds = np.sort((np.stack([low, high]) - start)[:, moves] / speed[moves], axis=0)
        enter, leave = max(0.0, bounds[0].max()), bounds[1].min()
        if not enter < leave:
            return np.empty(0)
        times = [np.array([enter, leave])]
        for axis in (0, 1):
            if moves[axis]:
                ends = start[axis] + np.array([enter, leave]) * speed[axis]
                lines = np.arange(np.ceil(ends.min()), np.floor(ends.max()) + 1)
                with np.errstate(over='ignore'):
                    times.append(np.clip((lines - start[axis]) / speed[axis], enter, leave))
        return np.unique(np.concatenate(times))

    def _in_cells(self, east: Vector, north: Vector) -> tuple[Vector, Vector]:
        return (east - self.west) / self.spacing, (north - self.south) / self.spacing

    def _cell(
        self, x: Vector, y: Vector, of: tuple[Vector, Vector] | None = None
    ) -> tuple[tuple[Vector, Vector], tuple[Matrix, Matrix]]:
        """Return the positions of points in their cells, and the heights of the cells' corners.

        The heights are those at the southern, then at the northern nodes. ``of``: other points,
        whose cells to use instead.
        """
        rows, columns = self.heights.shape
        first_x, first_y = (x, y) if of is None else of
        column = np.clip(np.floor(first_x).astype(int), 0, columns - 2)
        row = np.clip(np.floor(first_y).astype(int), 0, rows - 2)
        nodes = self.heights
        lower = np.stack([nodes[row, column], nodes[row, column + 1]])
        upper = np.stack([nodes[row + 1, column], nodes[row + 1, column + 1]])
        return (x - column, y - row), (lower, upper)

    def _between(self, x: Vector, y: Vector, of: tuple[Vector, Vector] | None = None) -> Vector:
        (u, v), (lower, upper) = self._cell(x, y, of)
        south = (1 - u) * lower[0] + u * lower[1]
        north = (1 - u) * upper[0] + u * upper[1]
        return np.asarray((1 - v) * south + v * north)


def _first_root(begin: Vector, middle: Vector, end: Vector) -> Vector:
    """Return where parabolas that start at or above 0 first fall to 0, from 0 to 1: (N,); or NaN.

    Each is given by its values at 0, 1/2 and 1.
    """
    constant = np.maximum(begin, 0.0)
    linear = -3 * begin + 4 * middle - end
    square = 2 * (begin - 2 * middle + end)
    with np.errstate(divide='ignore', invalid='ignore'):
        root = np.sqrt(linear * linear - 4 * square * constant)
        # The root at which the parabola falls, in the form that does not subtract nearly equal
        # numbers.
        falling = np.where(
            linear <= 0, 2 * constant / (root - linear), -(linear + root) / 2 / square
        )
    # Rounding may hide a root at the end; the sign of the value there still shows it.
    falling = np.where((end <= 0) & ~(falling <= 1), 1.0, falling)
    return np.where((begin >= -_TOLERANCE) & (falling >= 0) & (falling <= 1), falling, np.nan)
