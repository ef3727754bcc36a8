# SPDX-License-Identifier: Apache-2.0
"""The stage that relays odometry from elsewhere: from MAVROS, or from an estimator of your own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from nav_msgs.msg import Odometry

from worker_pipeline.airside.messages import transforms
from worker_pipeline.airside.messages.odometry_pose import pose_of
from worker_pipeline.context import NANOSECONDS, stamp_ns
from worker_pipeline.stage import Stage

_DISORDER = 1.0  # s, by which a message may be late before its clock counts as set back


class OdometryRelay(Stage[Odometry, Odometry]):
    """Stage from Odometry to Odometry: passes messages that are finite and newer than all before.

    If the clock of the odometry is set back, as where a bag is played in a loop, messages pass
    again from the second one of the new time on; the status counts it as ``set_back``.

    A stage that needs the odometry may also subscribe to that topic directly (``context: {odometry:
    /mavros/local_position/odom}``). As a stage it is supervised, counted, and checked once for all.
    """

    input_type = Odometry
    output_type = Odometry
    topics: ClassVar[Mapping[str, Any]] = transforms.tf_topics()
    parameters: ClassVar[Mapping[str, Any]] = transforms.publish_tf_parameter(
        'the pose of the body', default=False
    )

    _newest = 0
    _late = 0  # the stamp of the message before, if it was late; else 0
    _was_finite = True

    def process(self, item: Odometry) -> Odometry | None:
        """Return the message unchanged, or None if it is unusable."""
        try:
            pose_of(item)
        except ValueError as error:
            self.status.count('not_finite')
            if self._was_finite:  # log only the first of a run; the counter has all
                self.logger.warning(f'odometry: {error}; left out')
            self._was_finite = False
            self.status.warn(f'odometry: {error}; left out')
            return None
        self._was_finite = True
        stamp = stamp_ns(item.header.stamp)
        if stamp <= self._newest and not self._is_set_back(stamp):
            self.status.count('not_newer')
            return None
        self.status.ok()
        self._newest, self._late = stamp, 0
        if self.params['publish_tf']:
            transforms.publish_odometry(item, self.topic)
        return item

    def _is_set_back(self, stamp: int) -> bool:
        """Return whether the clock was set back: a single late message does not show it."""
        behind = (self._newest - stamp) / NANOSECONDS
        if behind <= _DISORDER:
            return False
        before, self._late = self._late, stamp
        text = f'the clock of the odometry was set back by {behind:.1f} s'
        if not 0 < before < stamp:
            self.status.warn(text)
            return False
        self.status.count('set_back')
        self.logger.warning(text)
        return True
