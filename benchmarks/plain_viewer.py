# SPDX-License-Identifier: Apache-2.0
"""A peer: a plain rclpy node that takes camera frames as arrays, and answers with the time."""

from __future__ import annotations

from typing import Any

import rclpy
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from benchmarks.frame_stages import HEIGHT, WIDTH, hop
from benchmarks.plain import run, spin_events
from worker_pipeline.airside.messages.image import from_message


def _viewer() -> Any:
    node = rclpy.create_node('viewer', namespace='/airside')
    output = node.create_publisher(Header, 'viewer/output', 10)

    def view(message: Image) -> None:
        pixels = from_message(message)
        answer = hop(message)
        assert pixels.shape == (HEIGHT, WIDTH, 3)
        output.publish(answer)

    node.create_subscription(Image, 'camera/output', view, 10)
    return node


if __name__ == '__main__':
    run(_viewer, spin_events)
