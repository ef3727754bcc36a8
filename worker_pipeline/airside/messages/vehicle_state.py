# SPDX-License-Identifier: Apache-2.0
"""The state of a vehicle and its uncertainty, from which ``nav_msgs/Odometry`` is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np
from nav_msgs.msg import Odometry

from worker_pipeline.airside.geometry.pose import Pose
from worker_pipeline.airside.geometry.rotations import Matrix, Vector, rotation_matrix

Three = Sequence[float] | Vector


@attrs.frozen(eq=False)
class Uncertainty:
    """Covariances (3, 3) of the parts of a :class:`VehicleState`.

    ``position``: m^2, ENU. ``attitude``: rad^2, of small rotations about the body's axes (roll,
    pitch, yaw). ``velocity``: (m/s)^2 and ``angular_velocity``: (rad/s)^2, in the body.
    """

    position: Matrix
    attitude: Matrix
    velocity: Matrix
    angular_velocity: Matrix

    @classmethod
    def from_deviations(
        cls, position: Three, attitude: Three, velocity: Three, angular_velocity: Three
    ) -> Uncertainty:
        """Return uncorrelated covariances from standard deviations (3 each) in the same axes.

        Args:
            position: m, east, north, up.
            attitude: rad, roll, pitch, yaw.
            velocity: m/s, in the body.
            angular_velocity: rad/s, in the body.
        """
        parts = (position, attitude, velocity, angular_velocity)
        return cls(*(np.diag(np.square(np.asarray(part, dtype=float))) for part in parts))


@attrs.frozen(eq=False)
class VehicleState:
    """The state of a vehicle at one time.

    ``pose``: ENU from the body (FLU). ``velocity``: m/s, and ``angular_velocity``: rad/s, both in
    the body.
    """

    pose: Pose
    velocity: Vector
    angular_velocity: Vector
    uncertainty: Uncertainty


def to_odometry(state: VehicleState, frame_id: str, child_frame_id: str) -> Any:
    """Return a ``nav_msgs/Odometry`` without a stamp.

    As the message defines it, the covariance of the pose is in world axes, also for rotations, and
    that of the twist in body axes.

    Args:
        state: The state.
        frame_id: The frame of the pose.
        child_frame_id: The frame of the body and of the twist.
    """
    odometry = Odometry(child_frame_id=child_frame_id)
    odometry.header.frame_id = frame_id
    pose, twist = odometry.pose.pose, odometry.twist.twist
    _fill(pose.position, state.pose.position)
    _fill(pose.orientation, state.pose.orientation)
    _fill(twist.linear, state.velocity)
    _fill(twist.angular, state.angular_velocity)
    world_from_body = rotation_matrix(state.pose.orientation)
    known = state.uncertainty
    turns = world_from_body @ known.attitude @ world_from_body.T
    odometry.pose.covariance = _blocks(known.position, turns)
    odometry.twist.covariance = _blocks(known.velocity, known.angular_velocity)
    return odometry


def _fill(message: Any, values: Vector) -> None:
    for name, value in zip('xyzw'[: len(values)], values, strict=True):
        setattr(message, name, float(value))


def _blocks(first: Matrix, second: Matrix) -> Vector:
    """Return a 6x6 covariance, row by row, of two independent halves."""
    whole = np.zeros((6, 6))
    whole[:3, :3], whole[3:, 3:] = first, second
    return whole.ravel()
