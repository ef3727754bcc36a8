# SPDX-License-Identifier: Apache-2.0
"""The stage that adds the pose of the vehicle to the detections of an image."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from nav_msgs.msg import Odometry
from sensor_msgs.msg import PointCloud2

from worker_pipeline.airside.common.rejection_counter import RejectionCounter
from worker_pipeline.airside.geometry.pose import Pose
from worker_pipeline.airside.geometry.rotations import Vector
from worker_pipeline.airside.messages import point_cloud
from worker_pipeline.airside.messages.odometry_pose import (
    PoseUnavailableError,
    fraction_between,
    pose_at,
    pose_of,
)
from worker_pipeline.airside.messages.point_cloud import Records
from worker_pipeline.airside.messages.pose_covariance import pose_variances
from worker_pipeline.airside.messages.records import DETECTION, OBSERVATION, POSE, POSE_VARIANCES
from worker_pipeline.parameter import Parameter
from worker_pipeline.stage import Stage

# Differs from None, which stands for the newest odometry before any has arrived.
_NO_TIMEOUT = object()


class DataMerge(Stage[PointCloud2, PointCloud2]):
    """Stage from detections to observations (``records.OBSERVATION``): detections with a pose.

    The pose is interpolated at the stamp of the image. Without a pose the answer is an empty cloud;
    the status counts the detections by reason, and the log reports them at a limited rate.
    """

    input_type = PointCloud2
    output_type = PointCloud2
    contexts: ClassVar[Mapping[str, Any]] = {'odometry': Odometry}
    parameters: ClassVar[Mapping[str, Any]] = {
        'max_gap': Parameter(
            0.5, 'largest gap between the odometry before and after an image', 's', minimum=0.0
        ),
        'max_wait': Parameter(
            0.5, 'longest wait for odometry newer than the image', 's', minimum=0.0
        ),
        'first_wait': Parameter(
            3.0, 'the same before the first odometry, which may still be in discovery', 's', 0.0
        ),
        'default_position_deviation': Parameter(
            1.0,
            'standard deviation of east, north and up if the odometry has none',
            'm',
            minimum=0.0,
        ),
        'default_attitude_deviation': Parameter(
            0.02, 'standard deviation about each axis if the odometry has none', 'rad', minimum=0.0
        ),
    }

    def configure(self) -> None:
        """Start without a timed-out wait."""
        self._rejections = RejectionCounter('unmerged', self.status, self.logger)
        self._timed_out_at: Any = _NO_TIMEOUT

    def process(self, item: PointCloud2) -> PointCloud2:
        """Return the detections of one image with the pose from which it was taken."""
        if not point_cloud.is_searched(item):
            return point_cloud.not_searched(OBSERVATION, item.header.frame_id)
        detections = point_cloud.as_type(point_cloud.from_message(item), DETECTION)
        observations = np.zeros(0, OBSERVATION)
        if len(detections):
            unmerged: Counter[str] = Counter()
            detail = ''
            try:
                observations = self._merge(detections, item.header.stamp)
            except PoseUnavailableError as error:
                unmerged[error.reason], detail = len(detections), str(error)
            self._rejections.record(unmerged, len(detections), detail, time.monotonic())
        return point_cloud.to_message(observations, item.header.frame_id)

    def _merge(self, detections: Records, stamp: Any) -> Records:
        early, late = self._odometry_around(stamp)
        pose = pose_at(early, late, stamp, self.params['max_gap'])
        if early is None or late is None:
            self.status.count('extrapolated', len(detections))
        variances = self._variances(early, late, stamp, pose)
        observations = np.zeros(len(detections), OBSERVATION)
        for name in detections.dtype.names or ():
            observations[name] = detections[name]
        numbers = (*pose.position, *pose.orientation, *variances)
        for name, number in zip((*POSE, *POSE_VARIANCES), numbers, strict=True):
            observations[name] = number
        return observations

    def _odometry_around(self, stamp: Any) -> tuple[Any, Any]:
        """Return the odometry before and after ``stamp``; None for one missing or without a pose.

        After a wait has timed out, the next ones do not wait until new odometry has arrived: if the
        odometry stops, images still pass at their own rate.
        """
        odometry = self.context['odometry']
        newest = odometry.latest()
        wait = self.params['first_wait' if newest is None else 'max_wait']
        early, late = odometry.around(stamp, 0.0 if newest is self._timed_out_at else wait)
        self._timed_out_at = newest if late is None and odometry.latest() is newest else _NO_TIMEOUT
        if early is None or late is None:
            return early, late
        whole = [each if _is_pose(each) else None for each in (early, late)]
        return (early, late) if whole == [None, None] else (whole[0], whole[1])

    def _variances(self, early: Any, late: Any, stamp: Any, pose: Pose) -> Vector:
        first, last = (
            pose_variances(
                each,
                pose.orientation,
                self.params['default_position_deviation'],
                self.params['default_attitude_deviation'],
            )
            for each in (late if early is None else early, early if late is None else late)
        )
        if early is None or late is None:
            return first
        share = fraction_between(early, late, stamp)
        return np.asarray(first + share * (last - first))


def _is_pose(odometry: Any) -> bool:
    try:
        pose_of(odometry)
    except ValueError:
        return False
    return True
