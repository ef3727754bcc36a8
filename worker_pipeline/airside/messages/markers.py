# SPDX-License-Identifier: Apache-2.0
"""Targets, locations and the ground in view as ``visualization_msgs/MarkerArray``, for displays.

``visualization_msgs`` is optional: without it stages have no such topics. Positions are in the
local frame, m, east, north, up. Each array replaces what the one before it showed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from geometry_msgs.msg import Point
from std_msgs.msg import ColorRGBA, Header

from worker_pipeline.airside.geometry.rotations import Vector
from worker_pipeline.airside.messages.optional import message_classes
from worker_pipeline.airside.messages.point_cloud import Records
from worker_pipeline.airside.messages.records import NO_LABEL

TYPES = message_classes('visualization_msgs', 'Marker', 'MarkerArray')
MARKERS = 'markers'
# Half the axes of the ellipse that holds the truth in 95 of 100 cases, in standard deviations: the
# root of the quantile of chi-squared with two degrees of freedom, which is -2 ln(1 - 0.95).
HALF_AXIS = math.sqrt(-2 * math.log(0.05))
MIN_AXIS = 0.1  # m, so that a display shows it
_THICKNESS, _LINE = 0.05, 0.2  # m
_TEXT_HEIGHT, _TEXT_ABOVE = 1.0, 1.0  # m
_TARGET, _LOCATION, _FOOTPRINT, _TEXT = (
    (1.0, 0.55, 0.0, 0.6),
    (1.0, 1.0, 0.0, 0.5),
    (0.2, 0.8, 1.0, 0.9),
    (1.0, 1.0, 1.0, 1.0),
)


def marker_topics() -> dict[str, Any]:
    """Return the entry of a stage's ``topics``; empty without visualization_msgs."""
    return {} if TYPES is None else {MARKERS: TYPES.MarkerArray}


def targets(records: Records, header: Header) -> Any:
    """Return an ellipse and a label for each of ``records.TARGET``: label, deviation, count.

    Args:
        records: The targets.
        header: The local frame, and the stamp of the newest image.
    """
    markers = [_clear(header)]
    for number, record in enumerate(records):
        half_axes, _ = ellipse(record)
        name = 'pad' if record['label'] == NO_LABEL else str(record['label'])
        text = f'{name} ±{half_axes[0] / HALF_AXIS:.2f} m ({record["count"]})'
        markers += [
            _disc(record, header, 'targets', number, _TARGET),
            _label(record, header, number, text),
        ]
    return TYPES.MarkerArray(markers=markers)


def view(footprint: Vector | None, records: Records, header: Header) -> Any:
    """Return the outline of the ground in view, and an ellipse for each of ``records.LOCATION``.

    Args:
        footprint: (N, 3), m; None: unknown.
        records: The locations in this image.
        header: The local frame, and the stamp of the image.
    """
    markers = [_clear(header)]
    if footprint is not None:
        outline = _marker(header, 'footprint', 0, TYPES.Marker.LINE_STRIP, _FOOTPRINT)
        outline.scale.x = _LINE
        closed = np.vstack([footprint, footprint[:1]])
        outline.points = [_point(each) for each in closed]
        markers.append(outline)
    markers += [
        _disc(record, header, 'locations', number, _LOCATION)
        for number, record in enumerate(records)
    ]
    return TYPES.MarkerArray(markers=markers)


def ellipse(record: Any) -> tuple[Vector, float]:
    """Return the half axes (2,) of the 95 % ellipse, m, longer first, and the bearing of that one.

    The bearing is from east to north, rad. Unknown covariances are shown as the smallest ellipse.
    """
    east, north, both = (
        float(record[name]) for name in ('var_east', 'var_north', 'cov_east_north')
    )
    if not np.isfinite([east, north, both]).all():
        return np.full(2, MIN_AXIS / 2), 0.0
    variances, axes = np.linalg.eigh([[east, both], [both, north]])
    half_axes = HALF_AXIS * np.sqrt(np.maximum(variances[::-1], 0.0))
    return half_axes, math.atan2(axes[1, 1], axes[0, 1])


def _disc(record: Any, header: Header, namespace: str, number: int, colour: Sequence[float]) -> Any:
    half_axes, bearing = ellipse(record)
    disc = _marker(header, namespace, number, TYPES.Marker.CYLINDER, colour)
    disc.scale.x, disc.scale.y = (max(2 * float(each), MIN_AXIS) for each in half_axes)
    disc.scale.z = _THICKNESS
    disc.pose.position = _point([record[name] for name in 'xyz'])
    disc.pose.orientation.z = math.sin(bearing / 2)
    disc.pose.orientation.w = math.cos(bearing / 2)
    return disc


def _label(record: Any, header: Header, number: int, text: str) -> Any:
    label = _marker(header, 'labels', number, TYPES.Marker.TEXT_VIEW_FACING, _TEXT)
    label.pose.position = _point([record[name] for name in 'xyz'])
    label.pose.position.z += _TEXT_ABOVE
    label.scale.z = _TEXT_HEIGHT
    label.text = text
    return label


def _clear(header: Header) -> Any:
    return TYPES.Marker(header=header, action=TYPES.Marker.DELETEALL)


def _marker(header: Header, namespace: str, number: int, kind: int, colour: Sequence[float]) -> Any:
    red, green, blue, alpha = colour
    found = TYPES.Marker(header=header, ns=namespace, id=number, type=kind)
    found.action = TYPES.Marker.ADD
    found.pose.orientation.w = 1.0
    found.color = ColorRGBA(r=red, g=green, b=blue, a=alpha)
    return found


def _point(values: Any) -> Any:
    x, y, z = map(float, values)
    return Point(x=x, y=y, z=z)
