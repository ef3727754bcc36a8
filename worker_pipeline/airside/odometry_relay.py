"""The stage that takes the odometry of others: MAVROS, or an estimator of one's own."""

from __future__ import annotations

from typing import Any

from nav_msgs.msg import Odometry

from worker_pipeline.airside.pose import pose_of
from worker_pipeline.context import NANOSECONDS, stamp_ns
from worker_pipeline.stage import Stage

_DISORDER = 1.0  # s, that a message may be late without its clock having been set back


class OdometryRelay(Stage):
    """Odometry to Odometry: passes on what is finite and newer than all before.

    Where its clock is set back nothing passes until it has caught up; the status says so.

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
            self.status.warn(f'odometry: {error}; left out')
            return None
        self._was_finite = True
        stamp = stamp_ns(item.header.stamp)
        if stamp <= self._newest:
            self.status.count('not_newer')
            behind = (self._newest - stamp) / NANOSECONDS
            if behind > _DISORDER:
                self.status.warn(
                    f'the clock of the odometry was set back: none for another {behind:.1f} s'
                )
            return None
        self.status.ok()
        self._newest = stamp
        return item
