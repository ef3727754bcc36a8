# SPDX-License-Identifier: Apache-2.0
"""The executor that spins every node of this package, and a thread to spin it in."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

from worker_pipeline.ros.dds import KILTED, rclpy_major

SPIN_TIMEOUT = 0.5  # s, after which a thread checks whether to stop


def create_executor() -> Any:
    """Return rclpy's events executor if there is one, else the single-threaded one.

    The events executor carries two to three times as many messages per second. Spin it with
    ``spin_once(timeout_sec=...)`` in a loop: its ``spin()`` keeps a core busy and fires no timers
    (rclpy 9.1.2). It has no guard conditions; other threads use ``create_task``. Jazzy's (rclpy 7)
    cannot await a service's coroutine, so it is not used there.
    """
    if rclpy_major() < KILTED:
        return SingleThreadedExecutor()
    try:
        from rclpy.experimental import EventsExecutor
    except ImportError:
        return SingleThreadedExecutor()
    return EventsExecutor()


class Spinner:
    """A thread that spins an executor until ``close``.

    The executor's own ``spin`` and ``shutdown`` would destroy objects that the thread may still
    use.

    Args:
        executor: of rclpy.
        on_failure: called in the thread with what a callback, or rclpy, has raised: nothing is
            received any more. Without it the exception ends the thread as it does any other.
    """

    def __init__(
        self, executor: Any, on_failure: Callable[[Exception], None] | None = None
    ) -> None:
        self._executor = executor
        self._on_failure = on_failure
        self._closing = False
        self._thread = threading.Thread(target=self._spin, name='executor', daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        try:
            while not self._closing:
                self._executor.spin_once(timeout_sec=SPIN_TIMEOUT)
        except ExternalShutdownException:
            pass
        except Exception as error:
            if self._on_failure is None:
                raise
            self._on_failure(error)

    def close(self, timeout: float) -> None:
        """Stop the thread; wait up to ``timeout`` seconds."""
        self._closing = True
        self._executor.create_task(lambda: None)  # wakes it
        self._thread.join(timeout)
