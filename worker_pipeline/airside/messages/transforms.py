# SPDX-License-Identifier: Apache-2.0
"""The frames of the vehicle and its camera, as ``tf2_msgs/TFMessage`` on /tf and /tf_static.

Frames follow REP 105 and REP 103: ``map`` is east, north, up of the origin; ``base_link`` is
forward, left, up of the vehicle; the camera's is optical: right, down, along the line of sight.
A transform takes coordinates in its child frame to its parent frame.

``tf2_msgs`` is optional: without it stages have no such topics.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from geometry_msgs.msg import TransformStamped

from worker_pipeline.airside.geometry.pinhole import Mounting
from worker_pipeline.airside.geometry.rotations import Vector, quaternion_from_matrix
from worker_pipeline.airside.messages.odometry_pose import pose_of
from worker_pipeline.airside.messages.optional import message_classes
from worker_pipeline.context import stamp_ns
from worker_pipeline.parameter import Parameter
from worker_pipeline.topic import AbsoluteTopic, Latched, Topic

TYPES = message_classes('tf2_msgs', 'TFMessage')
TF, TF_STATIC = 'tf', 'tf_static'


def tf_topics() -> dict[str, Any]:
    """Return the entry of a stage's ``topics`` for frames that move; empty without tf2_msgs."""
    return {} if TYPES is None else {TF: AbsoluteTopic('/tf', TYPES.TFMessage)}


def tf_static_topics() -> dict[str, Any]:
    """Return the entry of a stage's ``topics`` for fixed frames; empty without tf2_msgs."""
    if TYPES is None:
        return {}
    return {TF_STATIC: AbsoluteTopic('/tf_static', Latched(TYPES.TFMessage))}


def publish_tf_parameter(what: str, *, default: bool) -> dict[str, Parameter]:
    """Return the parameter ``publish_tf`` of a stage. ``what``: what it tells, in words."""
    text = f'publish {what} as a transform (needs tf2_msgs); not if another node does'
    return {'publish_tf': Parameter(default, text)}


def publish_odometry(odometry: Any, topics: Mapping[str, Topic], stamp: Any = None) -> None:
    """Publish the pose of the vehicle on /tf, if anyone subscribes.

    Args:
        odometry: The pose, between two frames; others are left out.
        topics: The stage's.
        stamp: That of the message if it has none yet.
    """
    topic = topics.get(TF)
    if topic is not None and topic.has_subscribers:
        transform = of_odometry(odometry)
        if transform is not None:
            if stamp is not None and not stamp_ns(transform.header.stamp):
                transform.header.stamp = stamp
            topic.publish(TYPES.TFMessage(transforms=[transform]))


def of_odometry(odometry: Any) -> Any:
    """Return the TransformStamped of an Odometry; None if its frames or pose are unusable."""
    parent, child = odometry.header.frame_id, odometry.child_frame_id
    if not parent or not child or parent == child:
        return None
    try:
        pose = pose_of(odometry)
    except ValueError:
        return None
    transform = _transform(pose.position, pose.orientation, parent, child)
    transform.header.stamp = odometry.header.stamp
    return transform


def of_mounting(mounting: Mounting, body: str, camera: str) -> Any:
    """Return the TransformStamped of a camera in a body, with an empty stamp.

    Args:
        mounting: The camera's.
        body: The body's frame.
        camera: The camera's optical frame.
    """
    return _transform(mounting.position, quaternion_from_matrix(mounting.rotation), body, camera)


class CameraFrame:
    """Publishes where a camera is in the body: once for each frame in which its images are.

    Args:
        topics: A stage's.
        mounting: The camera's.
        body: The body's frame.
    """

    def __init__(self, topics: Mapping[str, Topic], mounting: Mounting, body: str) -> None:
        self._topic = topics.get(TF_STATIC)
        self._mounting = mounting
        self._body = body
        self._published = ''

    def publish(self, header: Any) -> None:
        """Publish the frame of an image's header, unless it was the last one published."""
        camera = header.frame_id
        if self._topic is None or camera in ('', self._body, self._published):
            return
        self._published = camera
        transform = of_mounting(self._mounting, self._body, camera)
        transform.header.stamp = header.stamp
        self._topic.publish(TYPES.TFMessage(transforms=[transform]))


def _transform(position: Vector, orientation: Vector, parent: str, child: str) -> Any:
    found = TransformStamped(child_frame_id=child)
    found.header.frame_id = parent
    moved, turned = found.transform.translation, found.transform.rotation
    moved.x, moved.y, moved.z = map(float, position)
    turned.x, turned.y, turned.z, turned.w = map(float, orientation)
    return found
