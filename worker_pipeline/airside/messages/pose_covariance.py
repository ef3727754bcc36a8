# SPDX-License-Identifier: Apache-2.0
"""The covariance of the pose in an Odometry, with defaults where it is unknown."""

from __future__ import annotations

from typing import Any

import numpy as np

from worker_pipeline.airside.geometry.rotations import Matrix, Vector, rotation_matrix


def pose_variances(
    odometry: Any, orientation: Vector, default_position: float, default_attitude: float
) -> Vector:
    """Return the variances (6,) of a pose: position (m^2; east, north, up), then attitude (rad^2).

    The attitude's are about the body's axes; a message's are about the fixed axes of its frame and
    are rotated by ``orientation``. A variance that is not a positive number counts as unknown.

    Args:
        odometry: The message.
        orientation: Quaternion x y z w, world from body.
        default_position: m; standard deviation used for an unknown position.
        default_attitude: rad; standard deviation used for an unknown attitude.
    """
    covariance = np.array(odometry.pose.covariance, dtype=float).reshape(6, 6)
    position = _completed(covariance[:3, :3], default_position)
    attitude = _completed(covariance[3:, 3:], default_attitude)
    world_from_body = rotation_matrix(orientation)
    turned = world_from_body.T @ attitude @ world_from_body
    return np.concatenate([np.diag(position), np.diag(turned)])


def _completed(block: Matrix, default: float) -> Matrix:
    """Return a 3x3 covariance with the default for each unknown variance.

    Defaults are uncorrelated. If the result is not positive definite, all correlations are dropped.
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
