"""The ground that is looked at: flat, or an elevation grid with flat ground beyond, if wanted."""

from __future__ import annotations

import attrs
import numpy as np

from worker_pipeline.airside.geometry import Vector
from worker_pipeline.airside.placing.elevation import ElevationGrid

_UP = np.array([0.0, 0.0, 1.0])


@attrs.frozen
class FlatGround:
    """The plane ``z = level`` (m)."""

    level: float

    def height(self, east: Vector, north: Vector) -> Vector:
        """The ground's height at places (N,), m."""
        return np.full(np.broadcast(east, north).shape, self.level)

    def normal(self, east: float, north: float) -> Vector:  # noqa: ARG002 - the same everywhere
        """The ground's normal (3,) at a place, its z 1."""
        return _UP

    def meet(self, origin: Vector, direction: Vector) -> Vector:
        """Where a ray from ``origin`` (3,) meets the ground from above: (3,), m; NaN: nowhere."""
        if not (origin[2] > self.level and direction[2] < 0):
            return np.full(3, np.nan)
        point = origin + (self.level - origin[2]) / direction[2] * direction
        return np.array([point[0], point[1], self.level])


@attrs.frozen(eq=False)
class Ground:
    """A grid, and beyond it, or where it knows nothing, flat ground, if there is some.

    A ray that passes over all that the grid knows meets the flat ground only where the grid knows
    nothing: elsewhere the ground is known to be another.
    """

    grid: ElevationGrid
    beyond: FlatGround | None = None

    def height(self, east: Vector, north: Vector) -> Vector:
        """The ground's height at places (N,), m; NaN where nobody knows it."""
        known = self.grid.height(east, north)
        if self.beyond is None:
            return known
        return np.where(np.isnan(known), self.beyond.height(east, north), known)

    def normal(self, east: float, north: float) -> Vector:
        """The ground's normal (3,) at a place where :meth:`meet` found some, its z 1."""
        is_beyond = self.beyond is not None and not self._is_known(east, north)
        return _UP if is_beyond else self.grid.normal(east, north)

    def meet(self, origin: Vector, direction: Vector) -> Vector:
        """Where a ray from ``origin`` (3,) meets the ground from above: (3,), m; NaN: nowhere."""
        point = self.grid.meet(origin, direction)
        if np.isnan(point).any() and self.beyond is not None:
            point = self.beyond.meet(origin, direction)
            if self._is_known(point[0], point[1]):
                return np.full(3, np.nan)
        return point

    def _is_known(self, east: float, north: float) -> bool:
        return not np.isnan(self.grid.height(np.array([east]), np.array([north]))).any()
