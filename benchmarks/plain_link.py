"""A peer: a plain rclpy node that passes on what it hears. Its arguments are the two topics."""

from __future__ import annotations

import sys
from typing import Any

import rclpy
from std_msgs.msg import Header

from benchmarks.plain import run


def _link() -> Any:
    heard, passed_on = sys.argv[1:]
    node = rclpy.create_node(passed_on.replace('/', '_'), namespace='/airside')
    output = node.create_publisher(Header, passed_on, 1000)
    node.create_subscription(Header, heard, output.publish, 1000)
    return node


if __name__ == '__main__':
    run(_link)
