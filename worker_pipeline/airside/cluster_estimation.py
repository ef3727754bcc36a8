# SPDX-License-Identifier: Apache-2.0
"""The stage that clusters repeated sightings into targets, one per pad."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, ClassVar

from sensor_msgs.msg import PointCloud2

from worker_pipeline.airside.common.rate_limit import RateLimit
from worker_pipeline.airside.messages import markers, point_cloud, vision
from worker_pipeline.airside.tracking.target_estimate import TargetEstimates, TrackingRules
from worker_pipeline.airside.tracking.target_filter import TargetFilter
from worker_pipeline.context import stamp_ns
from worker_pipeline.parameter import Parameter
from worker_pipeline.stage import Stage


class ClusterEstimation(Stage[PointCloud2, PointCloud2]):
    """Stage from locations to targets: every item is answered with all known targets.

    The output is a cloud of ``records.TARGET``, so the last message is the result. The state is
    small and is handed to a replacement.
    """

    input_type = PointCloud2
    output_type = PointCloud2
    topics: ClassVar[Mapping[str, Any]] = {**markers.marker_topics(), **vision.topics_3d()}
    parameters: ClassVar[Mapping[str, Any]] = {
        'min_sightings': Parameter(3, 'number of sightings before a target is reported', minimum=1),
        'max_targets': Parameter(
            256, 'number of targets kept; beyond it the least seen is dropped', minimum=1
        ),
        'min_separation': Parameter(1.0, 'smallest distance between two targets', 'm', 0.0),
        'gate': Parameter(
            0.999,
            "share of a target's own sightings that should be assigned to it",
            '',
            0.5,
            0.999999,
        ),
        'correlated_share': Parameter(
            0.6, "share of a location's covariance that drifts slowly, as with GNSS", '', 0.0, 0.99
        ),
        'correlation_time': Parameter(100.0, 'correlation time of that drift', 's', 0.001),
        'deviation': Parameter(
            1.0, 'standard deviation of a location without a covariance', 'm', 0.001
        ),
        'height_deviation': Parameter(
            0.2, 'standard deviation of the height of a target, for detections_3d', 'm', 0.0
        ),
        'display_period': Parameter(
            0.5, 'shortest time between two messages on markers and detections_3d', 's', 0.0
        ),
        'min_deviation': Parameter(
            0.05, 'standard deviation whose square is added to every covariance', 'm', 0.001
        ),
    }

    def configure(self) -> None:
        """Start without targets."""
        params = self.params
        rules = TrackingRules(
            gate=params['gate'],
            min_separation=params['min_separation'],
            min_sightings=params['min_sightings'],
            capacity=params['max_targets'],
            deviation=params['deviation'],
            min_deviation=params['min_deviation'],
        )
        target_filter = TargetFilter(params['correlated_share'], params['correlation_time'])
        self.estimates = TargetEstimates(rules, target_filter)
        self._displayed = RateLimit(params['display_period'])

    def process(self, item: PointCloud2) -> PointCloud2:
        """Add the locations of one image and return all targets."""
        locations = point_cloud.from_message(item)
        if len(locations):
            refused = self.estimates.add(locations, stamp_ns(item.header.stamp))
            self._report_status(refused.sightings, len(locations))
            if refused.covariances:
                self.status.count('without_covariance', refused.covariances)
        records = self.estimates.records()
        self._display(records, item.header)
        return point_cloud.to_message(records, item.header.frame_id)

    def _display(self, records: point_cloud.Records, header: Any) -> None:
        """Publish the targets for displays and other nodes, if there are any, now and then."""
        heard = [name for name, topic in self.topic.items() if topic.has_subscribers]
        if not heard or not self._displayed.is_due(time.monotonic()):
            return
        if markers.MARKERS in heard:
            self.topic[markers.MARKERS].publish(markers.targets(records, header))
        if vision.DETECTIONS_3D in heard:
            variance = self.params['height_deviation'] ** 2
            message = vision.detections_3d(records, header, variance)
            self.topic[vision.DETECTIONS_3D].publish(message)

    def _report_status(self, refused: int, total: int) -> None:
        if refused:
            self.status.count('unusable_locations', refused)
            self.status.warn(
                f'locations: {refused} of {total} left out: not finite, or not on earth'
            )
        else:
            self.status.ok()

    def save_state(self) -> bytes:
        """Return the state of all targets."""
        return self.estimates.snapshot()

    def restore_state(self, state: bytes) -> None:
        """Restore the targets of a previous worker; without a state, start empty."""
        if state:
            self.estimates.restore(state)
