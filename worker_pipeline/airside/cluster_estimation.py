"""The stage that gathers what was seen again and again into targets, one for each pad."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from sensor_msgs.msg import PointCloud2

from worker_pipeline.airside import point_cloud
from worker_pipeline.airside.target_estimate import TargetEstimates
from worker_pipeline.parameter import Parameter
from worker_pipeline.stage import Stage


class ClusterEstimation(Stage):
    """Locations to targets: a cloud of ``records.TARGET``, all that are known, for every item.

    So the last message is the result. What it knows is small, and goes to a replacement.
    """

    input_type = PointCloud2
    output_type = PointCloud2
    parameters: ClassVar[Mapping[str, Any]] = {
        'merge_distance': Parameter(2.0, 'sightings nearer than this are one target', 'm', 0.01),
        'min_sightings': Parameter(3, 'of a target, before it is told of', minimum=1),
        'max_targets': Parameter(256, 'kept at once; past it the least seen goes', minimum=1),
    }

    def configure(self) -> None:
        """Begin with no target."""
        self._estimates = TargetEstimates(
            self.params['merge_distance'], self.params['min_sightings'], self.params['max_targets']
        )

    def process(self, item: Any) -> Any:
        """Take in the locations of one image; tell of every target."""
        self._estimates.add(point_cloud.from_message(item))
        return point_cloud.to_message(self._estimates.records(), item.header.frame_id)

    def save_state(self) -> bytes:
        """What is known of the targets."""
        return self._estimates.dump()

    def restore_state(self, state: bytes) -> None:
        """Know what a worker before this one knew; nothing, if that left no state."""
        if state:
            self._estimates.load(state)
