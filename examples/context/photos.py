# SPDX-License-Identifier: Apache-2.0
"""Photographs, and where the vehicle was when each was taken."""

from geometry_msgs.msg import PointStamped
from sensor_msgs.msg import TimeReference
from std_msgs.msg import Header

from worker_pipeline import Parameter, Stage
from worker_pipeline.context import stamp_ns

SPEED = 5.0  # m/s


class Position(Stage[TimeReference, PointStamped]):
    """Simulate a vehicle that flies east."""

    input_type = TimeReference
    output_type = PointStamped

    def process(self, tick: TimeReference) -> PointStamped:
        position = PointStamped()
        position.header.frame_id = 'map'
        position.point.x = SPEED * stamp_ns(tick.time_ref) / 1e9
        return position


class Camera(Stage[TimeReference, Header]):
    """Simulate a camera; the header stands for an image."""

    input_type = TimeReference
    output_type = Header

    def process(self, tick: TimeReference) -> Header:
        return Header(frame_id='camera')


class Locate(Stage[Header, PointStamped]):
    """Return the position at which each photograph was taken."""

    input_type = Header
    output_type = PointStamped
    # A context is broadcast: every worker receives every message, and none is consumed. Where it
    # comes from is said in the parameter file.
    contexts = {'position': PointStamped}
    parameters = {'max_gap': Parameter(0.1, 'between photograph and position', 's', minimum=0.0)}

    def process(self, photo: Header) -> PointStamped | None:
        # By its stamp: the newest one would be wrong by as long as the photograph was queued.
        position = self.context['position'].nearest(photo.stamp)
        if position is None:
            return None  # no output for this item; the next stage does not see it
        gap = abs(stamp_ns(position.header.stamp) - stamp_ns(photo.stamp)) / 1e9  # s
        if gap > self.params['max_gap']:
            self.status.warn(f'no position within {gap:.2f} s of the photograph')
            return None
        self.logger.info(f'photograph at x = {position.point.x:.1f} m')
        return position
