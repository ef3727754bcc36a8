# SPDX-License-Identifier: Apache-2.0
"""How the peers that are plain nodes run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException

from worker_pipeline.ros.executor import create_executor


def run(make: Callable[[], Any], spin: Callable[[Any], None] = rclpy.spin) -> None:
    """Create a node and spin it until a signal arrives."""
    rclpy.init()
    node = make()
    try:
        spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


def spin_events(node: Any) -> None:
    """Spin with the same executor as ours."""
    executor = create_executor()
    executor.add_node(node)
    while rclpy.ok():
        executor.spin_once(timeout_sec=0.5)
