# SPDX-License-Identifier: Apache-2.0
"""The thread that spins an executor."""

from __future__ import annotations

import threading

from rclpy.executors import ExternalShutdownException

from worker_pipeline.ros.executor import Spinner


class FailingExecutor:
    """An executor whose first spin raises."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def spin_once(self, **_: float) -> None:
        """Raise."""
        raise self.error

    def create_task(self, *_: object) -> None:
        """Do nothing: nobody spins."""


def test_what_ends_the_thread_is_reported():
    failed = threading.Event()
    errors = []

    def on_failure(error: Exception) -> None:
        errors.append(error)
        failed.set()

    spinner = Spinner(FailingExecutor(RuntimeError('a callback raised')), on_failure)
    assert failed.wait(10)
    spinner.close(10)
    assert [str(error) for error in errors] == ['a callback raised']


def test_a_shutdown_is_no_failure():
    errors = []
    spinner = Spinner(FailingExecutor(ExternalShutdownException()), errors.append)
    spinner.close(10)
    assert errors == []
