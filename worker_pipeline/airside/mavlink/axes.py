"""Between the axes of MAVLink and those of ROS. They are turned here, and nowhere else.

MAVLink's world is NED (x north, y east, z down) and its body FRD (x forward, y right, z down); its
quaternions are w x y z. ROS's world is ENU and its body FLU (REP 103); its quaternions are x y z w.
Each way back is the same turn again, so every function here is its own inverse but for the order of
a quaternion's numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from worker_pipeline.airside.geometry import Matrix, Vector, multiply, quaternion_from_euler

Numbers = Sequence[float] | Vector

_WORLD = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
_BODY = np.diag([1.0, -1.0, -1.0])
# The same two turns as quaternions x y z w.
_WORLD_TURN = np.array([math.sqrt(0.5), math.sqrt(0.5), 0.0, 0.0])
_BODY_TURN = np.array([1.0, 0.0, 0.0, 0.0])


def enu_from_ned(vector: Numbers) -> Vector:
    """A vector (3) in the world."""
    turned: Vector = _WORLD @ np.asarray(vector, dtype=float)
    return turned


def flu_from_frd(vector: Numbers) -> Vector:
    """A vector (3) in the body."""
    turned: Vector = _BODY @ np.asarray(vector, dtype=float)
    return turned


def enu_covariance_from_ned(covariance: Matrix) -> Matrix:
    """A covariance (3, 3) of a vector in the world."""
    turned: Matrix = _WORLD @ covariance @ _WORLD
    return turned


def flu_covariance_from_frd(covariance: Matrix) -> Matrix:
    """A covariance (3, 3) of a vector in the body."""
    turned: Matrix = _BODY @ covariance @ _BODY
    return turned


# A turn that is its own inverse goes both ways.
ned_from_enu = enu_from_ned
frd_from_flu = flu_from_frd
ned_covariance_from_enu = enu_covariance_from_ned
frd_covariance_from_flu = flu_covariance_from_frd


def attitude_from_mavlink(w: float, x: float, y: float, z: float) -> Vector:
    """NED from FRD, as MAVLink has it, to ENU from FLU (x y z w)."""
    return multiply(multiply(_WORLD_TURN, np.array([x, y, z, w])), _BODY_TURN)


def attitude_from_mavlink_euler(roll: float, pitch: float, yaw: float) -> Vector:
    """MAVLink's angles (rad; yaw clockwise from north) to ENU from FLU (x y z w)."""
    x, y, z, w = quaternion_from_euler(roll, pitch, yaw)
    return attitude_from_mavlink(w, x, y, z)


def attitude_to_mavlink(attitude: Vector) -> tuple[float, float, float, float]:
    """ENU from FLU (x y z w) to NED from FRD (w x y z)."""
    x, y, z, w = multiply(multiply(_WORLD_TURN, attitude), _BODY_TURN)
    return float(w), float(x), float(y), float(z)
