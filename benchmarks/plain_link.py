# SPDX-License-Identifier: Apache-2.0
"""A peer: a plain rclpy node that relays messages. Its arguments are the two topics."""

from __future__ import annotations

import sys
from typing import Any

import rclpy
from std_msgs.msg import Header

from benchmarks.plain import run


def _link() -> Any:
    input_topic, output_topic = sys.argv[1:]
    node = rclpy.create_node(output_topic.replace('/', '_'), namespace='/airside')
    output = node.create_publisher(Header, output_topic, 1000)
    node.create_subscription(Header, input_topic, output.publish, 1000)
    return node


if __name__ == '__main__':
    run(_link)
