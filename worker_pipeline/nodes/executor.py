"""The executor that spins every node of this package, and a thread to spin one in."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

from worker_pipeline.runtime.dds import KILTED, rclpy_major

TURN = 0.5  # s, after which a thread looks whether it is to end


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


class Spinner:
    """A thread that spins an executor, from now on until ``close``.

    Not by the executor's own ``spin`` and ``shutdown``: that takes away what the thread may be
    about to use.
    """

    def __init__(self, executor: Any) -> None:
        self._executor = executor
        self._closing = False
        self._thread = threading.Thread(target=self._spin, name='executor', daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            while not self._closing:
                self._executor.spin_once(timeout_sec=TURN)

    def close(self, timeout: float) -> None:
        """End the thread, which may take so many seconds."""
        self._closing = True
        self._executor.create_task(lambda: None)  # wakes it
        self._thread.join(timeout)
