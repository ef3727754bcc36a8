# SPDX-License-Identifier: Apache-2.0
"""The stage that locates on the ground the detections in an image."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, ClassVar

import attrs
import numpy as np
from nav_msgs.msg import Odometry
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from worker_pipeline.airside.common.geodesy import pymap3d
from worker_pipeline.airside.common.rate_limit import RateLimit
from worker_pipeline.airside.common.rejection_counter import RejectionCounter
from worker_pipeline.airside.geometry.pinhole import INTRINSICS, MOUNTING, Mounting, PinholeCamera
from worker_pipeline.airside.geometry.pose import Pose
from worker_pipeline.airside.messages import markers, point_cloud, transforms, vision
from worker_pipeline.airside.messages.odometry_pose import PoseUnavailableError, pose_at
from worker_pipeline.airside.messages.point_cloud import Records
from worker_pipeline.airside.messages.records import LOCATION, OBSERVATION, POSE, POSE_VARIANCES
from worker_pipeline.airside.projection.elevation_file import LOCAL, WGS84, Origin, load_elevation
from worker_pipeline.airside.projection.footprint import footprint
from worker_pipeline.airside.projection.ground import FlatGround, Ground
from worker_pipeline.airside.projection.location_covariance import Deviations
from worker_pipeline.airside.projection.locator import GroundLocation, Locator, NotLocatableError
from worker_pipeline.parameter import Parameter
from worker_pipeline.stage import Stage

DROP, GROUND_HEIGHT = 'drop', 'ground_height'
_MAX_GAP = 0.5  # s, to the odometry by which the ground in view is shown


class Geolocation(Stage[PointCloud2, PointCloud2]):
    """Stage from observations to a cloud of ``records.LOCATION``: on the ground, ENU and WGS 84.

    An observation that cannot be located is left out without affecting the others: the status
    counts it by reason, and the log reports it at a limited rate.
    """

    input_type = PointCloud2
    output_type = PointCloud2
    # For the ground in view, which is shown also for images without a detection.
    contexts: ClassVar[Mapping[str, Any]] = {'odometry': Odometry}
    optional_contexts = ('odometry',)
    topics: ClassVar[Mapping[str, Any]] = {
        **markers.marker_topics(),
        **vision.topics_3d(),
        **transforms.tf_static_topics(),
    }
    parameters: ClassVar[Mapping[str, Any]] = {
        **INTRINSICS,
        **MOUNTING,
        'frame_id': Parameter('map', 'local frame: east, north, up of the origin'),
        'body_frame_id': Parameter('base_link', 'frame of the body, for the transform'),
        **transforms.publish_tf_parameter('the mounting of the camera', default=True),
        'display_period': Parameter(0.2, 'shortest time between two messages on markers', 's', 0.0),
        'origin_latitude': Parameter(
            44.95936602, 'latitude of the origin, WGS 84', 'degree', -90.0, 90.0
        ),
        'origin_longitude': Parameter(
            -110.63865039, 'longitude of the origin, WGS 84', 'degree', -180.0, 180.0
        ),
        'origin_altitude': Parameter(2000.0, 'altitude of the origin above the ellipsoid', 'm'),
        'ground_height': Parameter(0.0, 'height of flat ground, z in the local frame', 'm'),
        'elevation_file': Parameter('', 'terrain, an ESRI ASCII grid; empty: flat ground'),
        'elevation_frame': Parameter(
            LOCAL,
            'frame of the file: metres from the origin, or degrees and m above the ellipsoid',
            choices=(LOCAL, WGS84),
        ),
        'beyond_elevation': Parameter(
            DROP,
            'where the file has no height: drop the observation, or use flat ground',
            choices=(DROP, GROUND_HEIGHT),
        ),
        'min_descent': Parameter(
            0.1,
            'smallest angle at which a ray may meet the ground',
            'rad',
            minimum=0.0,
            maximum=1.57,
        ),
        'pixel_deviation': Parameter(
            1.0, 'standard deviation of a detection, in u and in v', 'pixel', 0.0
        ),
        'mounting_attitude_deviation': Parameter(
            0.005, 'standard deviation of the mounting about each axis', 'rad', minimum=0.0
        ),
        'ground_height_deviation': Parameter(
            0.2, 'standard deviation of the height of the ground', 'm', minimum=0.0
        ),
    }

    def configure(self) -> None:
        """Read camera, mounting and ground. ValueError or OSError names the problem."""
        params = self.params
        self._origin = Origin(
            params['origin_latitude'], params['origin_longitude'], params['origin_altitude']
        )
        self._locator = Locator(
            camera=PinholeCamera.from_params(params),
            mounting=Mounting.from_params(params),
            ground=self._ground(),
            min_descent=params['min_descent'],
            deviations=Deviations(
                pixel=params['pixel_deviation'],
                mounting=params['mounting_attitude_deviation'],
                ground=params['ground_height_deviation'],
            ),
        )
        self._rejections = RejectionCounter('unplaced', self.status, self.logger)
        self._camera_frame = transforms.CameraFrame(
            self.topic if params['publish_tf'] else {},
            self._locator.mounting,
            params['body_frame_id'],
        )
        self._displayed = RateLimit(params['display_period'])

    def process(self, item: PointCloud2) -> PointCloud2:
        """Return the locations of the observations of one image."""
        if not point_cloud.is_searched(item):
            return point_cloud.not_searched(LOCATION, self.params['frame_id'])
        observations = point_cloud.as_type(point_cloud.from_message(item), OBSERVATION)
        placed, unplaced = [], Counter[str]()
        for observation in observations:
            try:
                placed.append((observation, self._locate(observation)))
            except NotLocatableError as error:
                unplaced[error.reason] += 1
        if len(observations):
            self._rejections.record(unplaced, len(observations), '', time.monotonic())
        located = self._located(placed)
        self._camera_frame.publish(item.header)
        self._publish_for_others(item.header.stamp, observations, located)
        return point_cloud.to_message(located, self.params['frame_id'])

    def _publish_for_others(self, stamp: Any, observations: Records, located: Records) -> None:
        """Publish what displays and other nodes subscribe to."""
        heard = [name for name, topic in self.topic.items() if topic.has_subscribers]
        header = Header(stamp=stamp, frame_id=self.params['frame_id'])
        if vision.DETECTIONS_3D in heard:
            variance = self.params['ground_height_deviation'] ** 2
            message = vision.detections_3d(located, header, variance)
            self.topic[vision.DETECTIONS_3D].publish(message)
        if markers.MARKERS in heard and self._displayed.is_due(time.monotonic()):
            pose = self._pose_of(stamp, observations)
            outline = None if pose is None else footprint(self._locator, pose)
            self.topic[markers.MARKERS].publish(markers.view(outline, located, header))

    def _pose_of(self, stamp: Any, observations: Records) -> Pose | None:
        """Return the pose of the body at the image, for display; None if it is not known."""
        if len(observations):
            return _pose(observations[0])
        try:
            return pose_at(*self.context['odometry'].around(stamp), stamp, _MAX_GAP)
        except PoseUnavailableError:
            return None

    def _ground(self) -> FlatGround | Ground:
        params = self.params
        flat = FlatGround(params['ground_height'])
        if not params['elevation_file']:
            return flat
        try:
            grid = load_elevation(params['elevation_file'], params['elevation_frame'], self._origin)
        except (OSError, ValueError) as error:
            raise ValueError(f'elevation_file: {error}') from error
        return Ground(grid, flat if params['beyond_elevation'] == GROUND_HEIGHT else None)

    def _locate(self, observation: Any) -> GroundLocation:
        pixel = np.array([observation['u'], observation['v']], dtype=float)
        variances = np.array([observation[name] for name in POSE_VARIANCES], dtype=float)
        return self._locator.locate(pixel, _pose(observation), variances)

    def _located(self, placed: list[tuple[Any, GroundLocation]]) -> Records:
        located = np.zeros(len(placed), LOCATION)
        if not placed:
            return located
        points = np.array([place.point for _, place in placed])
        for record, (observation, place) in zip(located, placed, strict=True):
            for name in ('label', 'confidence'):
                record[name] = observation[name]
            record['var_east'], record['var_north'] = np.diag(place.covariance)
            record['cov_east_north'] = place.covariance[0, 1]
        for name, values in zip('xyz', points.T, strict=True):
            located[name] = values
        latitude, longitude, _ = pymap3d.enu2geodetic(*points.T, *attrs.astuple(self._origin))
        located['latitude'], located['longitude'] = latitude, longitude
        return located


def _pose(observation: Any) -> Pose:
    return Pose(
        np.array([observation[name] for name in POSE[:3]]),
        np.array([observation[name] for name in POSE[3:]]),
    )
