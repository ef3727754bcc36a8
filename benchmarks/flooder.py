# SPDX-License-Identifier: Apache-2.0
"""A plain node that publishes equal items as fast as it can: ``TOPIC COUNT STAMP``, in s."""

from __future__ import annotations

import sys
import time

import rclpy
from rclpy.serialization import serialize_message
from std_msgs.msg import Header

DEPTH = 1000
MATCH_TIMEOUT = 30.0  # s


def main(topic: str, count: int, stamp: int) -> None:
    """Publish, once a subscription is matched."""
    rclpy.init()
    node = rclpy.create_node('flooder', namespace='/airside')
    publisher = node.create_publisher(Header, topic, DEPTH)
    deadline = time.monotonic() + MATCH_TIMEOUT
    while not publisher.get_subscription_count():
        if time.monotonic() > deadline:
            raise TimeoutError(f'{topic}: no subscription within {MATCH_TIMEOUT:g} s')
        time.sleep(0.01)
    message = Header(frame_id='bad')
    message.stamp.sec = stamp
    data = serialize_message(message)
    for _ in range(count):
        publisher.publish(data)
    publisher.wait_for_all_acked()
    node.destroy_node()
    rclpy.shutdown()


if __name__ == '__main__':
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
