"""The executor that spins every node of this package."""

from __future__ import annotations

from typing import Any

from rclpy.executors import SingleThreadedExecutor

from worker_pipeline.runtime.dds import KILTED, rclpy_major


def create_executor() -> Any:
    """rclpy's events executor where there is one, else the single-threaded one.

    The events executor carries two to three times as many messages per second. Spin it with
    ``spin_once(timeout_sec=...)`` in a loop: its ``spin()`` keeps a core busy and fires no timers
    (rclpy 9.1.2). It takes no guard conditions; other threads reach it by ``create_task``. Jazzy's
    (rclpy 7) cannot await a service's coroutine, so there it is not used.
    """
    if rclpy_major() < KILTED:
        return SingleThreadedExecutor()
    try:
        from rclpy.experimental import EventsExecutor
    except ImportError:
        return SingleThreadedExecutor()
    return EventsExecutor()
