"""The stage that places on the ground what was seen in an image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pymap3d
from nav_msgs.msg import Odometry
from sensor_msgs.msg import PointCloud2

from worker_pipeline.airside import point_cloud
from worker_pipeline.airside.pinhole import (
    INTRINSICS,
    MOUNTING,
    CameraPose,
    Mounting,
    PinholeCamera,
)
from worker_pipeline.airside.point_cloud import Records
from worker_pipeline.airside.pose import Pose, PoseUnavailableError, pose_at
from worker_pipeline.airside.records import LOCATION
from worker_pipeline.parameter import Parameter
from worker_pipeline.stage import Stage


class Geolocation(Stage):
    """Detections in pixels to a cloud of ``records.LOCATION``, on flat ground, ENU and WGS 84.

    The vehicle's pose is interpolated to the image's stamp. A detection that does not meet the
    ground drops out alone. With no pose for the image, or a pose that is no number, all of its
    detections do, and the log says so: an empty cloud is the answer.
    """

    input_type = PointCloud2
    output_type = PointCloud2
    contexts: ClassVar[Mapping[str, Any]] = {'odometry': Odometry}
    parameters: ClassVar[Mapping[str, Any]] = {
        **INTRINSICS,
        **MOUNTING,
        'frame_id': Parameter('map', 'the local frame: east, north, up of the origin'),
        'origin_latitude': Parameter(44.95936602, 'WGS 84', 'degree', -90.0, 90.0),
        'origin_longitude': Parameter(-110.63865039, 'WGS 84', 'degree', -180.0, 180.0),
        'origin_altitude': Parameter(2000.0, 'above the ellipsoid', 'm'),
        'ground_height': Parameter(0.0, 'of the ground, z in the local frame', 'm'),
        'min_descent': Parameter(
            0.1, 'rays that go down less steeply are not used', 'rad', minimum=0.0, maximum=1.57
        ),
        'max_gap': Parameter(0.5, 'between the odometry an image lies between', 's', minimum=0.0),
        'max_wait': Parameter(0.5, 'for odometry that is still to come', 's', minimum=0.0),
    }

    def configure(self) -> None:
        """Read the camera and its mounting. ValueError names what is wrong with them."""
        self._camera = PinholeCamera.of(self.params)
        self._mounting = Mounting.of(self.params)

    def process(self, item: Any) -> Any:
        """Where on the ground the detections of one image lie."""
        detections = point_cloud.from_message(item)
        located = np.empty(0, LOCATION)
        if len(detections):
            try:
                located = self._locate(detections, self._pose_at(item.header.stamp))
            except (PoseUnavailableError, ValueError) as error:
                self.logger.warning('%d detections not placed: %s', len(detections), error)
        return point_cloud.to_message(located, self.params['frame_id'])

    def _pose_at(self, stamp: Any) -> Pose:
        early, late = self.context['odometry'].around(stamp, self.params['max_wait'])
        return pose_at(early, late, stamp, self.params['max_gap'])

    def _locate(self, detections: Records, pose: Pose) -> Records:
        camera = CameraPose.of(pose, self._mounting)
        rays = self._camera.rays(np.column_stack([detections['u'], detections['v']]))
        points = camera.on_plane(rays, self.params['ground_height'], self.params['min_descent'])
        met = np.isfinite(points).all(axis=1)
        if not met.all():
            self.logger.info('%d detections do not meet the ground', np.count_nonzero(~met))
        located = np.zeros(np.count_nonzero(met), LOCATION)
        east, north, up = points[met].T
        located['x'], located['y'], located['z'] = east, north, up
        located['label'] = detections['label'][met]
        located['confidence'] = detections['confidence'][met]
        if len(located):
            latitude, longitude, _ = pymap3d.enu2geodetic(
                east,
                north,
                up,
                self.params['origin_latitude'],
                self.params['origin_longitude'],
                self.params['origin_altitude'],
            )
            located['latitude'], located['longitude'] = latitude, longitude
        return located
