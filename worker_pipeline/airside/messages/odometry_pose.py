# SPDX-License-Identifier: Apache-2.0
"""The pose of a vehicle at a given time, from ``nav_msgs/Odometry``."""

from __future__ import annotations

from typing import Any

import numpy as np

from worker_pipeline.airside.geometry.pose import Pose
from worker_pipeline.airside.geometry.rotations import (
    multiply,
    normalized,
    quaternion_from_rotation_vector,
    rotation_matrix,
    slerp,
)
from worker_pipeline.context import NANOSECONDS, stamp_ns


class PoseUnavailableError(Exception):
    """There is no pose for the requested time. ``reason``: the key under which it is counted."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def pose_of(odometry: Any) -> Pose:
    """Return the pose in an Odometry message. ValueError if it is not finite or has no attitude."""
    point = odometry.pose.pose.position
    turn = odometry.pose.pose.orientation
    position = np.array([point.x, point.y, point.z])
    if not np.isfinite(position).all():
        raise ValueError(f'position: found {position.tolist()}; allowed: finite numbers')
    return Pose(position, normalized([turn.x, turn.y, turn.z, turn.w]))


def fraction_between(early: Any, late: Any, stamp: Any) -> float:
    """Return the position of ``stamp`` between the stamps of two messages, 0 to 1.

    Args:
        early: The earlier message.
        late: The later message.
        stamp: A header stamp between theirs.
    """
    start, end = stamp_ns(early.header.stamp), stamp_ns(late.header.stamp)
    return (stamp_ns(stamp) - start) / (end - start) if end > start else 0.0


def interpolate(early: Any, late: Any, stamp: Any) -> Pose:
    """Return the pose at a time between two Odometry messages.

    The position is interpolated linearly, the attitude spherically.

    Args:
        early: The message before.
        late: The message after.
        stamp: The time, a ``builtin_interfaces/Time``.
    """
    first, last = pose_of(early), pose_of(late)
    share = fraction_between(early, late, stamp)
    return Pose(
        first.position + share * (last.position - first.position),
        slerp(first.orientation, last.orientation, share),
    )


def extrapolate(odometry: Any, stamp: Any) -> Pose:
    """Return the pose at ``stamp`` if the vehicle keeps its velocity and turn rate.

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
    """Return the pose at ``stamp`` from the Odometry before and after it.

    Args:
        early: The Odometry before ``stamp``, or None.
        late: The Odometry after ``stamp``, or None.
        stamp: The time, a ``builtin_interfaces/Time``.
        max_gap: s; largest gap between the two, or from ``stamp`` to the only one.

    Raises :class:`PoseUnavailableError` with the reason ``no_odometry`` if both are None, ``gap``
    if the gap is larger than ``max_gap``, ``no_number`` if a value that is needed is not finite.
    """
    if early is None and late is None:
        raise PoseUnavailableError('no_odometry', 'no odometry received yet')
    try:
        if early is not None and late is not None:
            gap = seconds_between(early.header.stamp, late.header.stamp)
            if gap <= max_gap:
                return interpolate(early, late, stamp)
            problem = f'odometry has a gap of {gap:.3f} s'
        else:
            only = late if early is None else early
            gap = abs(seconds_between(only.header.stamp, stamp))
            if gap <= max_gap:
                return extrapolate(only, stamp)
            problem = f'the nearest odometry is {gap:.3f} s away'
    except ValueError as error:
        raise PoseUnavailableError('no_number', str(error)) from error
    raise PoseUnavailableError('gap', f'{problem}; allowed: {max_gap:g} s')


def seconds_between(first: Any, second: Any) -> float:
    """Return the seconds from one stamp to another."""
    return (stamp_ns(second) - stamp_ns(first)) / NANOSECONDS
