# SPDX-License-Identifier: Apache-2.0
"""The distortion of a lens, and how it is undone.

The model is ``plumb_bob``, with the coefficients of OpenCV and of ``sensor_msgs/CameraInfo``:
Brown, "Close-Range Camera Calibration" (1971). Coordinates are those of the plane at depth 1.
"""

from __future__ import annotations

import attrs
import numpy as np
import numpy.typing as npt

from worker_pipeline.airside.geometry.rotations import Matrix, Vector

# Newton's iteration doubles its digits with each step: if more steps are needed, it diverges.
_MAX_ITERATIONS = 30
# Largest distance between a point and the distorted image of its solution: a millionth of a pixel
# for a focal length of ten thousand.
_RESIDUAL = 1e-10
# 1 / r^2 of a ray that is nearly perpendicular to the line of sight, which no such lens shows.
_MIN_INVERSE_SQUARE = 1e-8


@attrs.frozen
class LensDistortion:
    """Coefficients of a lens: radial ``k1 k2 k3``, tangential ``p1 p2``; all 0: an ideal lens."""

    k1: float = 0.0
    k2: float = 0.0
    p1: float = 0.0
    p2: float = 0.0
    k3: float = 0.0
    # From this radius on the image folds back on itself, and the model describes no real lens.
    limit: float = attrs.field(init=False, eq=False)

    @limit.default
    def _fold(self) -> float:
        # Where the derivative of r (1 + k1 r^2 + k2 r^4 + k3 r^6) is 0, as a polynomial in 1 / r^2:
        # its first coefficient is 1, however small the others are.
        roots = np.roots([1.0, 3 * self.k1, 5 * self.k2, 7 * self.k3])
        turning = roots.real[
            (abs(roots.imag) < 1e-9 * abs(roots)) & (roots.real > _MIN_INVERSE_SQUARE)
        ]
        return float(1 / np.sqrt(turning.max())) if len(turning) else np.inf

    @property
    def is_none(self) -> bool:
        """Return whether this is an ideal lens."""
        return not any((self.k1, self.k2, self.p1, self.p2, self.k3))

    def distort(self, ideal: Vector) -> Vector:
        """Return the distorted points (N, 2) of ideal points (N, 2); NaN past the fold."""
        with np.errstate(over='ignore', invalid='ignore'):
            before = self._is_before_fold(ideal)
            return np.where(before[:, None], self._distorted(ideal), np.nan)

    def undistort(self, distorted: Vector) -> Vector:
        """Return the ideal points (N, 2) of distorted points (N, 2); NaN where none is found."""
        wanted = np.asarray(distorted, dtype=float).reshape(-1, 2)
        if self.is_none:
            return np.array(wanted)
        ideal = self._within_limit(wanted)
        with np.errstate(over='ignore', invalid='ignore', divide='ignore'):
            for _ in range(_MAX_ITERATIONS):
                missed = self._distorted(ideal) - wanted
                if not (np.abs(missed) > _RESIDUAL * 1e-3).any():
                    break
                ideal = self._within_limit(ideal - _solved(self.jacobian(ideal), missed))
            missed = np.abs(self._distorted(ideal) - wanted).max(axis=1, initial=0.0)
        found = (missed < _RESIDUAL) & self._is_before_fold(ideal)
        return np.where(found[:, None], ideal, np.nan)

    def jacobian(self, ideal: Vector) -> Matrix:
        """Return the derivative (N, 2, 2) of the distorted point by the ideal point."""
        x, y, squared, radial = self._parts(ideal)
        slope = self.k1 + squared * (2 * self.k2 + squared * 3 * self.k3)
        jacobian = np.empty((len(x), 2, 2))
        jacobian[:, 0, 0] = radial + 2 * x * x * slope + 2 * self.p1 * y + 6 * self.p2 * x
        jacobian[:, 1, 1] = radial + 2 * y * y * slope + 6 * self.p1 * y + 2 * self.p2 * x
        jacobian[:, 0, 1] = 2 * x * y * slope + 2 * self.p1 * x + 2 * self.p2 * y
        jacobian[:, 1, 0] = jacobian[:, 0, 1]
        return jacobian

    def _distorted(self, ideal: Vector) -> Vector:
        x, y, squared, radial = self._parts(ideal)
        return np.column_stack(
            [
                x * radial + 2 * self.p1 * x * y + self.p2 * (squared + 2 * x * x),
                y * radial + self.p1 * (squared + 2 * y * y) + 2 * self.p2 * x * y,
            ]
        )

    def _parts(self, ideal: Vector) -> tuple[Vector, Vector, Vector, Vector]:
        x, y = np.asarray(ideal, dtype=float).reshape(-1, 2).T
        squared = x * x + y * y
        return x, y, squared, 1 + squared * (self.k1 + squared * (self.k2 + squared * self.k3))

    def _is_before_fold(self, ideal: Vector) -> npt.NDArray[np.bool_]:
        """Return whether the mapping is one-to-one at points (N, 2): (N,)."""
        points = np.asarray(ideal, dtype=float).reshape(-1, 2)
        jacobian = self.jacobian(points)
        area = jacobian[:, 0, 0] * jacobian[:, 1, 1] - jacobian[:, 0, 1] * jacobian[:, 1, 0]
        return np.asarray((area > 0) & (np.hypot(points[:, 0], points[:, 1]) < self.limit))

    def _within_limit(self, ideal: Vector) -> Vector:
        """Return points (N, 2), with those past the fold moved to just before it."""
        if np.isinf(self.limit):
            return np.array(ideal)
        radius = np.hypot(ideal[:, 0], ideal[:, 1])
        share: Vector = np.minimum(1.0, 0.999 * self.limit / np.maximum(radius, 1e-300))
        return np.asarray(ideal * share[:, None])


def _solved(matrices: Matrix, vectors: Vector) -> Vector:
    """Solve N systems of two equations by Cramer's rule: (N, 2); inf for a singular matrix."""
    (a, b), (c, d) = matrices[:, 0].T, matrices[:, 1].T
    x, y = vectors.T
    solved: Vector = np.column_stack([d * x - b * y, a * y - c * x]) / (a * d - b * c)[:, None]
    return solved
