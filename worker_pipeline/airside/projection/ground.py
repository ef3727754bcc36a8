# SPDX-License-Identifier: Apache-2.0
"""The ground model: flat, or an elevation grid with optional flat ground beyond it."""

from __future__ import annotations

import attrs
import numpy as np

from worker_pipeline.airside.geometry.rotations import Vector
from worker_pipeline.airside.projection.elevation import ElevationGrid

_UP = np.array([0.0, 0.0, 1.0])


@attrs.frozen
class FlatGround:
    """The plane ``z = level`` (m)."""

    level: float

    def height(self, east: Vector, north: Vector) -> Vector:
        """Return the ground's height at positions (N,), m."""
        return np.full(np.broadcast(east, north).shape, self.level)

    def normal(self, east: float, north: float) -> Vector:  # noqa: ARG002 - the same everywhere
        """Return the ground's normal (3,) at a position, with z = 1."""
        return _UP

    def intersect(self, origin: Vector, direction: Vector) -> Vector:
        """Return where a ray from ``origin`` (3,) meets the ground from above: (3,), m; or NaN."""
        if not (origin[2] > self.level and direction[2] < 0):
            return np.full(3, np.nan)
        point = origin + (self.level - origin[2]) / direction[2] * direction
        return np.array([point[0], point[1], self.level])


@attrs.frozen(eq=False)
class Ground:
    """An elevation grid, with optional flat ground where the grid has no heights.

    A ray that misses the known part of the grid meets the flat ground only where the grid has no
    height: elsewhere the ground is known to be different.
    """

    grid: ElevationGrid
    beyond: FlatGround | None = None

    def height(self, east: Vector, north: Vector) -> Vector:
        """Return the ground's height at positions (N,), m; NaN if unknown."""
        known = self.grid.height(east, north)
        if self.beyond is None:
            return known
        return np.where(np.isnan(known), self.beyond.height(east, north), known)

    def normal(self, east: float, north: float) -> Vector:
        """Return the ground's normal (3,), with z = 1, at a position from :meth:`intersect`."""
        is_beyond = self.beyond is not None and not self._is_known(east, north)
        return _UP if is_beyond else self.grid.normal(east, north)

    def intersect(self, origin: Vector, direction: Vector) -> Vector:
        """Return where a ray from ``origin`` (3,) meets the ground from above: (3,), m; or NaN."""
        point = self.grid.intersect(origin, direction)
        if np.isnan(point).any() and self.beyond is not None:
            point = self.beyond.intersect(origin, direction)
            if self._is_known(point[0], point[1]):
                return np.full(3, np.nan)
        return point

    def _is_known(self, east: float, north: float) -> bool:
        return not np.isnan(self.grid.height(np.array([east]), np.array([north]))).any()
