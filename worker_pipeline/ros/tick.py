# SPDX-License-Identifier: Apache-2.0
"""Serialises ticks, the requests to a source, as ``sensor_msgs/TimeReference``."""

from __future__ import annotations

import struct
import time
from typing import Any

from rclpy.serialization import serialize_message
from sensor_msgs.msg import TimeReference

from worker_pipeline.core.item import TICK
from worker_pipeline.ros.cdr import split_stamp

_STAMP = struct.Struct('=iI')  # a Time, in this machine's byte order
# Offsets of the two times in a serialised tick, whose frame_id is empty.
_STAMP_AT, _TIME_REF_AT = 4, 20
_BLANK = bytes(serialize_message(TimeReference(source=TICK)))


def tick_at(stamp: int, since: int) -> bytes:
    """Return a serialised tick. ``stamp``: its stamp; ``since``: the time since the start; ns.

    Only these differ between ticks, so they are written into a copy of a serialised message.
    """
    tick = bytearray(_BLANK)
    _STAMP.pack_into(tick, _STAMP_AT, *split_stamp(stamp))
    _STAMP.pack_into(tick, _TIME_REF_AT, *split_stamp(since))
    return bytes(tick)


def read_clocks(clock: Any) -> tuple[int, int | None]:
    """Return ROS time by a node's clock, and steady time, or None if ROS time is simulated; ns."""
    ros = clock.now().nanoseconds
    return ros, None if clock.ros_time_is_active else time.monotonic_ns()
