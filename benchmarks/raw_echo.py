"""A peer: one plain node that gives back what it hears, without deserialising it.

As fast as rclpy can be: no ledger, no order, no other process, and the same executor as ours.
"""

from __future__ import annotations

import rclpy
from rclpy.executors import ExternalShutdownException
from std_msgs.msg import Header

from worker_pipeline.nodes.executor import create_executor

DEPTH = 5000


def main() -> None:
    """Spin until a signal comes."""
    rclpy.init()
    node = rclpy.create_node('raw_echo', namespace='/airside')
    output = node.create_publisher(Header, 'echo/output', DEPTH)
    node.create_subscription(Header, 'echo/input', output.publish, DEPTH, raw=True)
    executor = create_executor()
    executor.add_node(node)
    try:
        while rclpy.ok():
            executor.spin_once(timeout_sec=0.5)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


if __name__ == '__main__':
    main()
