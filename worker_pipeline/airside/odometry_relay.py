"""The stage that takes the odometry of others: MAVROS, or an estimator of one's own."""

from __future__ import annotations

from typing import Any

from nav_msgs.msg import Odometry

from worker_pipeline.airside.pose import pose_of
from worker_pipeline.context import stamp_ns
from worker_pipeline.stage import Stage


class OdometryRelay(Stage):
    """Odometry to Odometry: passes on what is finite and newer than all before.

    Whoever needs the odometry may as well hear that topic itself (``context: {odometry:
    /mavros/local_position/odom}``). As a stage it is watched, counted, and checked once for all.
    """

    input_type = Odometry
    output_type = Odometry

    _newest = 0
    _was_finite = True

    def process(self, item: Any) -> Any:
        """The same, or None for what nobody could use."""
        try:
            pose_of(item)
        except ValueError as error:
            self.status.count('not_finite')
            if self._was_finite:  # the first of a row; the others are counted
                self.logger.warning(f'odometry: {error}; left out')
            self._was_finite = False
            return None
        self._was_finite = True
        stamp = stamp_ns(item.header.stamp)
        if stamp <= self._newest:
            self.status.count('not_newer')
            return None
        self._newest = stamp
        return item
