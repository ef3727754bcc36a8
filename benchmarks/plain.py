"""How the peers that are plain nodes run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException


def run(make: Callable[[], Any], spin: Callable[[Any], None] = rclpy.spin) -> None:
    """Make a node, and spin it until a signal comes."""
    rclpy.init()
    node = make()
    try:
        spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
