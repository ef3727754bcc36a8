# SPDX-License-Identifier: Apache-2.0
"""Quaternions ``[x, y, z, w]`` (the order of geometry_msgs) and rotation matrices.

Axes follow REP 103: the world is ENU (x east, y north, z up), a body is FLU (x forward, y left, z
up). Angles are in rad. A rotation named ``a_from_b`` takes coordinates in ``b`` to ``a``. Formulas:
Diebel, "Representing Attitude: Euler Angles, Unit Quaternions, and Rotation Vectors" (2006);
Shoemake, "Animating Rotation with Quaternion Curves" (1985).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]

# Below this angle (rad) the sine in slerp is too small to divide by, and linear is as good.
_NEARLY_THE_SAME = 1e-6


def quaternion_from_euler(roll: float, pitch: float, yaw: float) -> Vector:
    """Return a rotation about fixed x by ``roll``, then y by ``pitch``, then z by ``yaw``.

    Args:
        roll: Angle about x, rad.
        pitch: Angle about y, rad.
        yaw: Angle about z, rad.
    """
    cr, sr = math.cos(roll / 2), math.sin(roll / 2)
    cp, sp = math.cos(pitch / 2), math.sin(pitch / 2)
    cy, sy = math.cos(yaw / 2), math.sin(yaw / 2)
    return np.array(
        [
            sr * cp * cy - cr * sp * sy,
            cr * sp * cy + sr * cp * sy,
            cr * cp * sy - sr * sp * cy,
            cr * cp * cy + sr * sp * sy,
        ]
    )


def quaternion_from_rotation_vector(rotation: Sequence[float] | Vector) -> Vector:
    """Return the quaternion of a rotation vector (direction: the axis; length: the angle)."""
    vector = np.asarray(rotation, dtype=float)
    angle = float(np.linalg.norm(vector))
    # sin(angle/2)/angle tends to 1/2 as the angle tends to 0.
    scale = 0.5 if angle < _NEARLY_THE_SAME else math.sin(angle / 2) / angle
    return np.array([*(vector * scale), math.cos(angle / 2)])


def quaternion_from_matrix(rotation: Matrix) -> Vector:
    """Return the quaternion of a 3x3 rotation matrix, with ``w >= 0``."""
    m = np.asarray(rotation, dtype=float)
    # Of the four squared components, solve for the largest first: it is the one safe to divide by.
    squares = np.array(
        [
            1 + m[0, 0] - m[1, 1] - m[2, 2],
            1 - m[0, 0] + m[1, 1] - m[2, 2],
            1 - m[0, 0] - m[1, 1] + m[2, 2],
            1 + m[0, 0] + m[1, 1] + m[2, 2],
        ]
    )
    largest = int(np.argmax(squares))
    products = {
        0: (squares[0], m[0, 1] + m[1, 0], m[0, 2] + m[2, 0], m[2, 1] - m[1, 2]),
        1: (m[0, 1] + m[1, 0], squares[1], m[1, 2] + m[2, 1], m[0, 2] - m[2, 0]),
        2: (m[0, 2] + m[2, 0], m[1, 2] + m[2, 1], squares[2], m[1, 0] - m[0, 1]),
        3: (m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], squares[3]),
    }[largest]
    quaternion = normalized(products)
    return -quaternion if quaternion[3] < 0 else quaternion


def normalized(vector: Sequence[float] | Vector) -> Vector:
    """Return ``vector`` scaled to length 1. ValueError if its length is 0 or not finite."""
    array = np.asarray(vector, dtype=float)
    length = float(np.linalg.norm(array))
    if not (math.isfinite(length) and length > 0):
        raise ValueError(f'found {array.tolist()}; allowed: finite numbers, not all zero')
    return array / length


def rotation_matrix(quaternion: Sequence[float] | Vector) -> Matrix:
    """Return the 3x3 matrix of a quaternion of any length. ValueError if 0 or not finite."""
    x, y, z, w = normalized(quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def multiply(first: Vector, second: Vector) -> Vector:
    """Return ``a_from_c``, the product of ``a_from_b`` and ``b_from_c``."""
    x1, y1, z1, w1 = first
    x2, y2, z2, w2 = second
    return np.array(
        [
            w1 * x2 + x1 * w2 + y1 * z2 - z1 * y2,
            w1 * y2 - x1 * z2 + y1 * w2 + z1 * x2,
            w1 * z2 + x1 * y2 - y1 * x2 + z1 * w2,
            w1 * w2 - x1 * x2 - y1 * y2 - z1 * z2,
        ]
    )


def slerp(first: Vector, second: Vector, fraction: float) -> Vector:
    """Return the attitude at a fraction of the shorter way between two attitudes.

    Args:
        first: The attitude at 0.
        second: The attitude at 1.
        fraction: 0 to 1.
    """
    start, end = normalized(first), normalized(second)
    cosine = float(start @ end)
    if cosine < 0:
        # A quaternion and its negative are the same attitude; use the nearer of the two.
        end, cosine = -end, -cosine
    angle = math.acos(min(1.0, cosine))
    if angle < _NEARLY_THE_SAME:
        return normalized(start + fraction * (end - start))
    share = math.sin((1 - fraction) * angle), math.sin(fraction * angle)
    return (share[0] * start + share[1] * end) / math.sin(angle)
