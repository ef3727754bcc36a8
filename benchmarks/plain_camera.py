# SPDX-License-Identifier: Apache-2.0
"""A peer: a plain rclpy node that publishes camera frames, each period or as they are viewed.

Its argument is the period in s; 0: two are in flight at any time. ``python -m
benchmarks.plain_camera 0.033``
"""

from __future__ import annotations

import sys
import time
from typing import Any

import rclpy
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from benchmarks.frame_stages import HEIGHT, WIDTH, pictures, stamped
from benchmarks.plain import run, spin_events

UNDER_WAY = 2
LOST_AFTER = 1.0  # s


def _camera() -> Any:
    period = float(sys.argv[1])
    node = rclpy.create_node('camera', namespace='/airside')
    output = node.create_publisher(Image, 'camera/output', 10)
    shots = pictures()
    seen: list[Any] = []

    def send(_: Any = None) -> None:
        pixels = next(shots)
        sent = time.monotonic_ns()
        message = Image(height=HEIGHT, width=WIDTH, encoding='bgr8', step=3 * WIDTH)
        # As in cv_bridge: the fastest way that rclpy has.
        message.data.frombytes(pixels.data)
        output.publish(stamped(message, sent))

    def begin_if_none_is_seen() -> None:
        if not seen:
            for _ in range(UNDER_WAY):
                send()
        seen.clear()

    if period:
        node.create_timer(period, send)
    else:
        node.create_subscription(Header, 'viewer/output', send, 10)
        node.create_subscription(Header, 'viewer/output', seen.append, 10)
        node.create_timer(LOST_AFTER, begin_if_none_is_seen)
    return node


if __name__ == '__main__':
    run(_camera, spin_events)
