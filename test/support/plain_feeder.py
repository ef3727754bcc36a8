# SPDX-License-Identifier: Apache-2.0
"""A plain node that feeds the stage ``first``, and publishes the context ``/reference``."""

from __future__ import annotations

import itertools
import time

import rclpy
from rclpy.executors import ExternalShutdownException
from std_msgs.msg import Header

PERIOD = 0.02  # s


def main() -> None:
    rclpy.init()
    node = rclpy.create_node('feeder', namespace='/airside')
    items = node.create_publisher(Header, 'first/input', 100)
    reference = node.create_publisher(Header, '/reference', 100)
    numbers = itertools.count()

    def publish() -> None:
        now = time.monotonic_ns()
        message = Header(frame_id=str(now))
        message.stamp.sec, message.stamp.nanosec = divmod(now, 1_000_000_000)
        reference.publish(message)
        message.frame_id = str(next(numbers))
        items.publish(message)

    node.create_timer(PERIOD, publish)
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        node.destroy_node()
        rclpy.try_shutdown()


if __name__ == '__main__':
    main()
