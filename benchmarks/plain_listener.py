# SPDX-License-Identifier: Apache-2.0
"""A subscriber to a camera's frames, like rqt_image_view and recorders."""

from __future__ import annotations

from typing import Any

import rclpy
from sensor_msgs.msg import Image

from benchmarks.plain import run, spin_events


def _listener() -> Any:
    node = rclpy.create_node('listener', namespace='/airside')
    node.create_subscription(Image, 'camera/output', lambda _: None, 10, raw=True)
    return node


if __name__ == '__main__':
    run(_listener, spin_events)
