"""A peer: a plain rclpy node that passes on what it hears. Its arguments are the two topics."""

from __future__ import annotations

import sys

import rclpy
from rclpy.executors import ExternalShutdownException
from std_msgs.msg import Header


def main() -> None:
    """Spin until a signal comes."""
    heard, passed_on = sys.argv[1:]
    rclpy.init()
    node = rclpy.create_node(passed_on.replace('/', '_'), namespace='/airside')
    output = node.create_publisher(Header, passed_on, 1000)
    node.create_subscription(Header, heard, output.publish, 1000)
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


if __name__ == '__main__':
    main()
