# SPDX-License-Identifier: Apache-2.0
"""Conversion between the axes of MAVLink and of ROS, all in this module.

MAVLink's world is NED (x north, y east, z down) and its body FRD (x forward, y right, z down); its
quaternions are w x y z. ROS's world is ENU and its body FLU (REP 103); its quaternions are x y z w.
Both rotations are their own inverse, so each function also converts back, except for the order of a
quaternion's components.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from worker_pipeline.airside.geometry.rotations import (
    Matrix,
    Vector,
    multiply,
    quaternion_from_euler,
)

Numbers = Sequence[float] | Vector

_WORLD = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
_BODY = np.diag([1.0, -1.0, -1.0])
# The same two rotations as quaternions x y z w.
_WORLD_TURN = np.array([math.sqrt(0.5), math.sqrt(0.5), 0.0, 0.0])
_BODY_TURN = np.array([1.0, 0.0, 0.0, 0.0])


def enu_from_ned(vector: Numbers) -> Vector:
    """Return a world vector (3,) in ENU."""
    turned: Vector = _WORLD @ np.asarray(vector, dtype=float)
    return turned


def flu_from_frd(vector: Numbers) -> Vector:
    """Return a body vector (3,) in FLU."""
    turned: Vector = _BODY @ np.asarray(vector, dtype=float)
    return turned


def enu_covariance_from_ned(covariance: Matrix) -> Matrix:
    """Return the covariance (3, 3) of a world vector in ENU."""
    turned: Matrix = _WORLD @ covariance @ _WORLD
    return turned


def flu_covariance_from_frd(covariance: Matrix) -> Matrix:
    """Return the covariance (3, 3) of a body vector in FLU."""
    turned: Matrix = _BODY @ covariance @ _BODY
    return turned


# A rotation that is its own inverse converts both ways.
ned_from_enu = enu_from_ned
frd_from_flu = flu_from_frd
ned_covariance_from_enu = enu_covariance_from_ned
frd_covariance_from_flu = flu_covariance_from_frd


def attitude_from_mavlink(w: float, x: float, y: float, z: float) -> Vector:
    """Return ENU from FLU (x y z w) from MAVLink's NED from FRD (w x y z).

    Args:
        w: Scalar part of the quaternion.
        x: First component of its vector part.
        y: Second component.
        z: Third component.
    """
    return multiply(multiply(_WORLD_TURN, np.array([x, y, z, w])), _BODY_TURN)


def attitude_from_mavlink_euler(roll: float, pitch: float, yaw: float) -> Vector:
    """Return ENU from FLU (x y z w) from MAVLink's angles (rad; yaw clockwise from north).

    Args:
        roll: Angle, rad, positive with the right side down.
        pitch: Angle, rad, positive with the nose up.
        yaw: Angle, rad, clockwise from north.
    """
    x, y, z, w = quaternion_from_euler(roll, pitch, yaw)
    return attitude_from_mavlink(w, x, y, z)


def attitude_to_mavlink(attitude: Vector) -> tuple[float, float, float, float]:
    """Return MAVLink's NED from FRD (w x y z) from ENU from FLU (x y z w)."""
    x, y, z, w = multiply(multiply(_WORLD_TURN, attitude), _BODY_TURN)
    return float(w), float(x), float(y), float(z)
