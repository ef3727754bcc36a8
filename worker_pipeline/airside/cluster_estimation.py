"""The stage that gathers what was seen again and again into targets, one for each pad."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from sensor_msgs.msg import PointCloud2

from worker_pipeline.airside import point_cloud
from worker_pipeline.airside.tracking.target_estimate import Rules, TargetEstimates
from worker_pipeline.airside.tracking.target_filter import TargetFilter
from worker_pipeline.context import stamp_ns
from worker_pipeline.parameter import Parameter
from worker_pipeline.stage import Stage


class ClusterEstimation(Stage):
    """Locations to targets: a cloud of ``records.TARGET``, all that are known, for every item.

    So the last message is the result. What it knows is small, and goes to a replacement.
    """

    input_type = PointCloud2
    output_type = PointCloud2
    parameters: ClassVar[Mapping[str, Any]] = {
        'min_sightings': Parameter(3, 'of a target, before it is told of', minimum=1),
        'max_targets': Parameter(256, 'kept at once; past it the least seen goes', minimum=1),
        'min_separation': Parameter(1.0, 'two targets are never closer', 'm', 0.0),
        'gate': Parameter(
            0.999, "share of a target's sightings that are taken for its own", '', 0.5, 0.999999
        ),
        'correlated_share': Parameter(
            0.6, "of a location's covariance: what wanders slowly, as GNSS does", '', 0.0, 0.99
        ),
        'correlation_time': Parameter(100.0, 'in which that wanders off', 's', 0.001),
        'deviation': Parameter(1.0, 'of a location that has no covariance', 'm', 0.001),
        'min_deviation': Parameter(
            0.05, 'added, as variance, to the covariance of a location', 'm', 0.001
        ),
    }

    def configure(self) -> None:
        """Begin with no target."""
        params = self.params
        rules = Rules(
            gate=params['gate'],
            min_separation=params['min_separation'],
            min_sightings=params['min_sightings'],
            capacity=params['max_targets'],
            deviation=params['deviation'],
            min_deviation=params['min_deviation'],
        )
        target_filter = TargetFilter(params['correlated_share'], params['correlation_time'])
        self.estimates = TargetEstimates(rules, target_filter)

    def process(self, item: Any) -> Any:
        """Take in the locations of one image; tell of every target."""
        locations = point_cloud.from_message(item)
        if len(locations):
            refused = self.estimates.add(locations, stamp_ns(item.header.stamp))
            self._tell(refused.sightings, len(locations))
            if refused.covariances:
                self.status.count('without_covariance', refused.covariances)
        return point_cloud.to_message(self.estimates.records(), item.header.frame_id)

    def _tell(self, refused: int, total: int) -> None:
        if refused:
            self.status.count('refused', refused)
            self.status.warn(
                f'locations: {refused} of {total} left out: no numbers, or no place on earth'
            )
        else:
            self.status.ok()

    def save_state(self) -> bytes:
        """What is known of the targets."""
        return self.estimates.dump()

    def restore_state(self, state: bytes) -> None:
        """Know what a worker before this one knew; nothing, if that left no state."""
        if state:
            self.estimates.load(state)
