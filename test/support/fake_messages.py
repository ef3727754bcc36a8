# SPDX-License-Identifier: Apache-2.0
"""Message classes of packages that are not among the wheels, after their published definitions.

``tf2_msgs`` and ``vision_msgs`` (4.1) exist in a full ROS 2 only, ``visualization_msgs`` also as a
wheel. Like generated classes, these have every field with its default, and no other.
"""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

from geometry_msgs.msg import Pose, PoseWithCovariance, Vector3
from std_msgs.msg import ColorRGBA, Header


class Message:
    """A message with the fields of its class's ``FIELDS``: defaults, by name."""

    FIELDS: dict[str, Any] = {}

    def __init__(self, **values: Any) -> None:
        unknown = set(values) - set(self.FIELDS)
        assert not unknown, f'{type(self).__name__} has no fields {unknown}'
        for name, default in self.FIELDS.items():
            made = default() if isinstance(default, type) else copy.deepcopy(default)
            setattr(self, name, values.get(name, made))

    def __setattr__(self, name: str, value: Any) -> None:
        assert name in self.FIELDS, f'{type(self).__name__} has no field {name}'
        default = self.FIELDS[name]
        kind = default if isinstance(default, type) else type(default)
        assert isinstance(value, kind), f'{type(self).__name__}.{name}: {value!r}'
        super().__setattr__(name, value)


def _message(name: str, /, **fields: Any) -> Any:
    constants = {key: value for key, value in fields.items() if key.isupper()}
    others = {key: value for key, value in fields.items() if not key.isupper()}
    return type(name, (Message,), {'FIELDS': others, **constants})


def tf2_msgs() -> Any:
    """Return the classes of tf2_msgs."""
    return SimpleNamespace(TFMessage=_message('TFMessage', transforms=[]))


def vision_msgs() -> Any:
    """Return those classes of vision_msgs that are used."""
    point = _message('Point2D', x=0.0, y=0.0)
    pose = _message('Pose2D', position=point, theta=0.0)
    box = _message('BoundingBox2D', center=pose, size_x=0.0, size_y=0.0)
    solid = _message('BoundingBox3D', center=Pose, size=Vector3)
    hypothesis = _message('ObjectHypothesis', class_id='', score=0.0)
    return SimpleNamespace(
        ObjectHypothesisWithPose=_message(
            'ObjectHypothesisWithPose', hypothesis=hypothesis, pose=PoseWithCovariance
        ),
        Detection2D=_message('Detection2D', header=Header, results=[], bbox=box, id=''),
        Detection2DArray=_message('Detection2DArray', header=Header, detections=[]),
        Detection3D=_message('Detection3D', header=Header, results=[], bbox=solid, id=''),
        Detection3DArray=_message('Detection3DArray', header=Header, detections=[]),
        VisionClass=_message('VisionClass', class_id=0, class_name=''),
        LabelInfo=_message('LabelInfo', header=Header, class_map=[], threshold=0.0),
    )


def visualization_msgs() -> Any:
    """Return those classes of visualization_msgs that are used, with the fields that are."""
    marker = _message(
        'Marker',
        CYLINDER=3,
        LINE_STRIP=4,
        TEXT_VIEW_FACING=9,
        ADD=0,
        DELETEALL=3,
        header=Header,
        ns='',
        id=0,
        type=0,
        action=0,
        pose=Pose,
        scale=Vector3,
        color=ColorRGBA,
        points=[],
        text='',
    )
    return SimpleNamespace(Marker=marker, MarkerArray=_message('MarkerArray', markers=[]))
