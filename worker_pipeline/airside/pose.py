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
    """There is no pose for the time asked for. ``reason``: why, in a word that can be counted."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


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


def share_between(early: Any, late: Any, stamp: Any) -> float:
    """How far ``stamp`` is on the way from one message's stamp to the other's, 0 to 1."""
    start, end = stamp_ns(early.header.stamp), stamp_ns(late.header.stamp)
    return (stamp_ns(stamp) - start) / (end - start) if end > start else 0.0


def interpolated(early: Any, late: Any, stamp: Any) -> Pose:
    """The pose at ``stamp`` between two Odometry messages: linear position, spherical attitude."""
    first, last = pose_of(early), pose_of(late)
    share = share_between(early, late, stamp)
    return Pose(
        first.position + share * (last.position - first.position),
        slerp(first.orientation, last.orientation, share),
    )


def extrapolated(odometry: Any, stamp: Any) -> Pose:
    """The pose at ``stamp`` if the vehicle keeps the velocity and turn rate of ``odometry``.

    The twist of an Odometry message is in its child frame, the body's. ValueError if it is not
    finite.
    """
    pose = pose_of(odometry)
    elapsed = seconds_between(odometry.header.stamp, stamp)
    linear, angular = odometry.twist.twist.linear, odometry.twist.twist.angular
    velocity = np.array([linear.x, linear.y, linear.z])
    rate = np.array([angular.x, angular.y, angular.z])
    if not np.isfinite([velocity, rate]).all():
        raise ValueError(f'twist: found {[*velocity, *rate]}; allowed: finite numbers')
    return Pose(
        pose.position + rotation_matrix(pose.orientation) @ velocity * elapsed,
        multiply(pose.orientation, quaternion_from_rotation_vector(rate * elapsed)),
    )


def pose_at(early: Any, late: Any, stamp: Any, max_gap: float) -> Pose:
    """The pose at ``stamp`` from the Odometry before and after it, either of which may be None.

    Raises :class:`PoseUnavailableError` with the reason ``no_odometry`` if both are; ``gap`` if the
    two are more than ``max_gap`` seconds apart, or the only one is further than that from
    ``stamp``; ``no_number`` if what is needed of them is not finite.
    """
    if early is None and late is None:
        raise PoseUnavailableError('no_odometry', 'no odometry yet')
    try:
        if early is not None and late is not None:
            gap = seconds_between(early.header.stamp, late.header.stamp)
            if gap <= max_gap:
                return interpolated(early, late, stamp)
            told = f'odometry has a gap of {gap:.3f} s'
        else:
            only = late if early is None else early
            gap = abs(seconds_between(only.header.stamp, stamp))
            if gap <= max_gap:
                return extrapolated(only, stamp)
            told = f'the nearest odometry is {gap:.3f} s away'
    except ValueError as error:
        raise PoseUnavailableError('no_number', str(error)) from error
    raise PoseUnavailableError('gap', f'{told}; allowed: {max_gap:g} s')


def seconds_between(first: Any, second: Any) -> float:
    """From one stamp to another."""
    return (stamp_ns(second) - stamp_ns(first)) / NANOSECONDS
