"""The stage that tells where the vehicle was when an image was taken."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from nav_msgs.msg import Odometry
from sensor_msgs.msg import PointCloud2

from worker_pipeline.airside import point_cloud
from worker_pipeline.airside.drop_outs import DropOuts
from worker_pipeline.airside.geometry import Vector
from worker_pipeline.airside.point_cloud import Records
from worker_pipeline.airside.pose import (
    Pose,
    PoseUnavailableError,
    pose_at,
    pose_of,
    share_between,
)
from worker_pipeline.airside.pose_covariance import pose_variances
from worker_pipeline.airside.records import DETECTION, OBSERVATION, POSE, POSE_VARIANCES
from worker_pipeline.parameter import Parameter
from worker_pipeline.stage import Stage

# Told from None, which is the newest odometry before there is any.
_NOTHING = object()


class DataMerge(Stage):
    """Detections to observations: a cloud of ``records.OBSERVATION``, each with the pose.

    The pose is that of the image's stamp, interpolated. Where there is none the answer is an empty
    cloud; the status counts the detections by reason, and the log tells it now and then.
    """

    input_type = PointCloud2
    output_type = PointCloud2
    contexts: ClassVar[Mapping[str, Any]] = {'odometry': Odometry}
    parameters: ClassVar[Mapping[str, Any]] = {
        'max_gap': Parameter(0.5, 'between the odometry an image lies between', 's', minimum=0.0),
        'max_wait': Parameter(0.5, 'for odometry that is still to come', 's', minimum=0.0),
        'first_wait': Parameter(
            3.0, 'the same for a worker that has heard none: it may have to find it', 's', 0.0
        ),
        'default_position_deviation': Parameter(
            1.0, 'where the odometry knows none: of east, north, up each', 'm', minimum=0.0
        ),
        'default_attitude_deviation': Parameter(
            0.02, 'where the odometry knows none: about each axis', 'rad', minimum=0.0
        ),
    }

    def configure(self) -> None:
        """Begin with no odometry waited for in vain."""
        self._drop_outs = DropOuts('unmerged', self.status, self.logger)
        self._in_vain: Any = _NOTHING

    def process(self, item: Any) -> Any:
        """The detections of one image, with the pose it was taken from."""
        detections = point_cloud.as_type(point_cloud.from_message(item), DETECTION)
        observations = np.zeros(0, OBSERVATION)
        if len(detections):
            unmerged: Counter[str] = Counter()
            detail = ''
            try:
                observations = self._merged(detections, item.header.stamp)
            except PoseUnavailableError as error:
                unmerged[error.reason], detail = len(detections), str(error)
            self._drop_outs.tell(unmerged, len(detections), detail, time.monotonic())
        return point_cloud.to_message(observations, item.header.frame_id)

    def _merged(self, detections: Records, stamp: Any) -> Records:
        early, late = self._around(stamp)
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

    def _around(self, stamp: Any) -> tuple[Any, Any]:
        """The odometry before and after; None for what is missing, or no pose beside one that is.

        After a wait in vain it waits for none until some has come: where the odometry is silent the
        images go on at the rate they come.
        """
        odometry = self.context['odometry']
        newest = odometry.latest()
        wait = self.params['first_wait' if newest is None else 'max_wait']
        early, late = odometry.around(stamp, 0.0 if newest is self._in_vain else wait)
        self._in_vain = newest if late is None and odometry.latest() is newest else _NOTHING
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
        share = share_between(early, late, stamp)
        return np.asarray(first + share * (last - first))


def _is_pose(odometry: Any) -> bool:
    try:
        pose_of(odometry)
    except ValueError:
        return False
    return True
