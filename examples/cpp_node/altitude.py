# SPDX-License-Identifier: Apache-2.0
"""A simulated altimeter, and a stage that logs altitudes."""

import math

from sensor_msgs.msg import Range, TimeReference

from worker_pipeline import Stage
from worker_pipeline.context import stamp_ns


class Altimeter(Stage[TimeReference, Range]):
    """Simulate a noisy altimeter at 20 m."""

    input_type = TimeReference
    output_type = Range

    def process(self, tick: TimeReference) -> Range:
        seconds = stamp_ns(tick.time_ref) / 1e9
        reading = Range(min_range=0.1, max_range=50.0, range=20.0 + math.sin(40.0 * seconds))
        reading.header.frame_id = 'altimeter'
        return reading


class Report(Stage[Range, Range]):
    """Log each altitude."""

    input_type = Range
    output_type = Range

    def process(self, reading: Range) -> Range:
        self.logger.info(f'{reading.range:.1f} m')
        return reading
