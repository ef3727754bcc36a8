# SPDX-License-Identifier: Apache-2.0
"""Detections and locations as ``vision_msgs``, which other nodes and displays understand.

``vision_msgs`` 4 (ROS 2 Humble and later) is optional: without it stages have no such topics. A
class is identified by its label in digits, as in the records; ``label_info`` has the names.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from worker_pipeline.airside.messages.optional import message_classes
from worker_pipeline.airside.messages.point_cloud import Records
from worker_pipeline.topic import Latched

TYPES = message_classes(
    'vision_msgs',
    'Detection2D',
    'Detection2DArray',
    'Detection3D',
    'Detection3DArray',
    'LabelInfo',
    'ObjectHypothesisWithPose',
    'VisionClass',
)
DETECTIONS_2D, DETECTIONS_3D, LABEL_INFO = 'detections', 'detections_3d', 'label_info'
# Of an attitude of which nothing is known, rad^2.
UNKNOWN_ATTITUDE = math.pi**2
_MAX_LABEL = 2**16 - 1  # of a VisionClass


def topics_2d() -> dict[str, Any]:
    """Return the entries of the ``topics`` of a stage that detects; empty without vision_msgs."""
    if TYPES is None:
        return {}
    return {DETECTIONS_2D: TYPES.Detection2DArray, LABEL_INFO: Latched(TYPES.LabelInfo)}


def topics_3d() -> dict[str, Any]:
    """Return the entry of the ``topics`` of a stage that locates; empty without vision_msgs."""
    return {} if TYPES is None else {DETECTIONS_3D: TYPES.Detection3DArray}


def detections_2d(records: Records, header: Any) -> Any:
    """Return a Detection2DArray of ``records.DETECTION``; pixel (0, 0) is the first one's centre.

    Args:
        records: The detections in an image.
        header: The image's.
    """
    return TYPES.Detection2DArray(
        header=header, detections=[_detection_2d(each, header) for each in records]
    )


def _detection_2d(record: Any, header: Any) -> Any:
    found = TYPES.Detection2D(header=header)
    x1, y1, x2, y2 = (float(record[name]) for name in ('x1', 'y1', 'x2', 'y2'))
    centre = found.bbox.center.position
    centre.x, centre.y = (x1 + x2) / 2, (y1 + y2) / 2
    sides = float(record['size_x']), float(record['size_y'])
    if all(sides):  # an oriented box
        found.bbox.size_x, found.bbox.size_y = sides
        found.bbox.center.theta = float(record['angle'])
    else:
        found.bbox.size_x, found.bbox.size_y = x2 - x1, y2 - y1
    found.results = [_hypothesis(record)]
    return found


def detections_3d(records: Records, header: Any, height_variance: float) -> Any:
    """Return a Detection3DArray of ``records.LOCATION`` or ``TARGET``.

    The boxes have the place, and no size. The attitude is that of the frame, and unknown.

    Args:
        records: Locations.
        header: The frame in which they are, and the stamp of their image.
        height_variance: m^2; the records have that of east and north alone.
    """
    return TYPES.Detection3DArray(
        header=header,
        detections=[_detection_3d(each, header, height_variance) for each in records],
    )


def _detection_3d(record: Any, header: Any, height_variance: float) -> Any:
    found = TYPES.Detection3D(header=header)
    hypothesis = _hypothesis(record)
    for point in (hypothesis.pose.pose.position, found.bbox.center.position):
        point.x, point.y, point.z = (float(record[name]) for name in 'xyz')
    covariance = [0.0] * 36
    covariance[0], covariance[7] = float(record['var_east']), float(record['var_north'])
    covariance[1] = covariance[6] = float(record['cov_east_north'])
    covariance[14] = height_variance
    covariance[21] = covariance[28] = covariance[35] = UNKNOWN_ATTITUDE
    hypothesis.pose.covariance = covariance
    found.results = [hypothesis]
    return found


def _hypothesis(record: Any) -> Any:
    found = TYPES.ObjectHypothesisWithPose()
    found.hypothesis.class_id = str(int(record['label']))
    found.hypothesis.score = float(record['confidence'])
    return found


def label_info(names: Mapping[int, str], threshold: float) -> Any:
    """Return a LabelInfo: the names of labels, as far as it has room for them (16 bits).

    Args:
        names: The names by label.
        threshold: The smallest confidence of a detection.
    """
    classes = [
        TYPES.VisionClass(class_id=label, class_name=name)
        for label, name in sorted(names.items())
        if 0 <= label <= _MAX_LABEL
    ]
    return TYPES.LabelInfo(class_map=classes, threshold=threshold)
