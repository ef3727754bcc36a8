# SPDX-License-Identifier: Apache-2.0
"""A peer: one plain node that echoes messages without deserialising them.

The upper limit of rclpy: no ledger, no order, no other process, and the same executor as ours.
"""

from __future__ import annotations

from typing import Any

import rclpy
from std_msgs.msg import Header

from benchmarks.plain import run, spin_events

DEPTH = 5000


def _echo() -> Any:
    node = rclpy.create_node('raw_echo', namespace='/airside')
    output = node.create_publisher(Header, 'echo/output', DEPTH)
    node.create_subscription(Header, 'echo/input', output.publish, DEPTH, raw=True)
    return node


if __name__ == '__main__':
    run(_echo, spin_events)
