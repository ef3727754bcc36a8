# SPDX-License-Identifier: Apache-2.0
"""The stage that clusters repeated sightings into targets, one per pad."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from sensor_msgs.msg import PointCloud2

from worker_pipeline.airside.messages import point_cloud
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

    def process(self, item: PointCloud2) -> PointCloud2:
        """Add the locations of one image and return all targets."""
        locations = point_cloud.from_message(item)
        if len(locations):
            refused = self.estimates.add(locations, stamp_ns(item.header.stamp))
            self._report_status(refused.sightings, len(locations))
            if refused.covariances:
                self.status.count('without_covariance', refused.covariances)
        return point_cloud.to_message(self.estimates.records(), item.header.frame_id)

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
