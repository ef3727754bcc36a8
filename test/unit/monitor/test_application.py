# SPDX-License-Identifier: Apache-2.0
"""The monitor's command, without a terminal and without ROS."""

from __future__ import annotations

import signal

import pytest

from worker_pipeline.monitor import application
from worker_pipeline.monitor.wakeup import STOP_SIGNALS


@pytest.fixture(autouse=True)
def signal_handlers():
    """Put back the signal handlers of the process."""
    numbers = (*STOP_SIGNALS, signal.SIGWINCH)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    signal.set_wakeup_fd(-1)
    for number, handler in before.items():
        signal.signal(number, handler)


class FailingNode:
    """A node whose ROS thread has failed."""

    namespace, topic, domain = '/airside', '/diagnostics', 0

    def __init__(self, *arguments) -> None:
        on_failure = arguments[-1]
        on_failure(RuntimeError('failed to take a message'))

    def close(self) -> None:
        """Do nothing."""


def test_a_failure_of_ros_ends_the_monitor_and_is_printed(monkeypatch, capfd):
    monkeypatch.setattr(application, 'MonitorNode', FailingNode)
    assert application.run_monitor(['monitor', '--once']) == 1
    printed, errors = capfd.readouterr()
    assert errors == 'monitor: RuntimeError: failed to take a message\n'
    assert printed == ''
