"""Where a vehicle is and how it lies, out of ``nav_msgs/Odometry``, at the time one needs it."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from worker_pipeline.airside.geometry import (
    Vector,
    multiply,
    normalized,
    quaternion_from_rotation_vector,
    rotation_matrix,
    slerp,
)
from worker_pipeline.context import NANOSECONDS, stamp_ns


class PoseUnavailableError(Exception):
    """There is no odometry near enough to the time asked for."""


@attrs.frozen(eq=False)
class Pose:
    """A body's place in the world.

    ``position``: 3, m, ENU. ``orientation``: quaternion x y z w, world from body.
    """

    position: Vector
    orientation: Vector


def pose_of(odometry: Any) -> Pose:
    """The pose in an Odometry message. ValueError if it is not finite or has no attitude."""
    point = odometry.pose.pose.position
    turn = odometry.pose.pose.orientation
    position = np.array([point.x, point.y, point.z])
    if not np.isfinite(position).all():
        raise ValueError(f'position: found {position.tolist()}; allowed: finite numbers')
    return Pose(position, normalized([turn.x, turn.y, turn.z, turn.w]))


def interpolated(early: Any, late: Any, stamp: Any) -> Pose:
    """The pose at ``stamp`` between two Odometry messages: linear position, spherical attitude."""
    start, end = stamp_ns(early.header.stamp), stamp_ns(late.header.stamp)
    first = pose_of(early)
    if end <= start:
        return first
    last = pose_of(late)
    fraction = (stamp_ns(stamp) - start) / (end - start)
    return Pose(
        first.position + fraction * (last.position - first.position),
        slerp(first.orientation, last.orientation, fraction),
    )


def extrapolated(odometry: Any, stamp: Any) -> Pose:
    """The pose at ``stamp`` if the vehicle keeps the velocity and turn rate of ``odometry``.

    The twist of an Odometry message is in its child frame, the body's.
    """
    pose = pose_of(odometry)
    elapsed = (stamp_ns(stamp) - stamp_ns(odometry.header.stamp)) / NANOSECONDS
    linear, angular = odometry.twist.twist.linear, odometry.twist.twist.angular
    velocity = rotation_matrix(pose.orientation) @ np.array([linear.x, linear.y, linear.z])
    turned = np.array([angular.x, angular.y, angular.z]) * elapsed
    return Pose(
        pose.position + velocity * elapsed,
        multiply(pose.orientation, quaternion_from_rotation_vector(turned)),
    )


def pose_at(early: Any, late: Any, stamp: Any, max_gap: float) -> Pose:
    """The pose at ``stamp`` from the Odometry before and after it, either of which may be None.

    Raises :class:`PoseUnavailableError` if the two are more than ``max_gap`` seconds apart, or if
    the only one is further than that from ``stamp``.
    """
    if early is None and late is None:
        raise PoseUnavailableError('no odometry yet')
    if early is not None and late is not None:
        gap = (stamp_ns(late.header.stamp) - stamp_ns(early.header.stamp)) / NANOSECONDS
        if gap > max_gap:
            raise PoseUnavailableError(f'odometry has a gap of {gap:.3f} s; allowed: {max_gap:g} s')
        return interpolated(early, late, stamp)
    only = late if early is None else early
    gap = abs(stamp_ns(stamp) - stamp_ns(only.header.stamp)) / NANOSECONDS
    if gap > max_gap:
        raise PoseUnavailableError(
            f'the nearest odometry is {gap:.3f} s away; allowed: {max_gap:g} s'
        )
    return extrapolated(only, stamp)
