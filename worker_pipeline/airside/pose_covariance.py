"""How sure an Odometry is of its pose, and what to take where it does not say."""

from __future__ import annotations

from typing import Any

import numpy as np

from worker_pipeline.airside.geometry import Matrix, Vector, rotation_matrix


def pose_variances(
    odometry: Any, orientation: Vector, default_position: float, default_attitude: float
) -> Vector:
    """(6,): of the position, m^2, east, north, up; of the attitude, rad^2, about the body's axes.

    A message's rotations are about the fixed axes of its frame, so ``orientation`` (world from
    body) turns them. Where a variance is not above 0, or no number, the message does not know it:
    the square of ``default_position`` (m) or of ``default_attitude`` (rad) takes its place.
    """
    covariance = np.array(odometry.pose.covariance, dtype=float).reshape(6, 6)
    position = _completed(covariance[:3, :3], default_position)
    attitude = _completed(covariance[3:, 3:], default_attitude)
    world_from_body = rotation_matrix(orientation)
    turned = world_from_body.T @ attitude @ world_from_body
    return np.concatenate([np.diag(position), np.diag(turned)])


def _completed(block: Matrix, default: float) -> Matrix:
    """A 3x3 covariance with the default where a variance is not known.

    It stands alone there; and everywhere, if what is left is no covariance.
    """
    variances = np.diag(block)
    with np.errstate(invalid='ignore'):
        known = np.isfinite(variances) & (variances > 0)
    pairs = np.outer(known, known) & ~np.eye(3, dtype=bool)
    alone = np.diag(np.where(known, variances, default**2))
    together = alone + np.where(pairs, block, 0.0)
    if not np.isfinite(together).all() or (np.linalg.eigvalsh(together) <= 0).any():
        return alone
    return np.asarray((together + together.T) / 2)
