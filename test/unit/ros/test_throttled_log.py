# SPDX-License-Identifier: Apache-2.0
"""Log lines about floods, with a logger of rclpy."""

from __future__ import annotations

import time

import pytest
import rclpy.logging

from worker_pipeline.ros.throttled_log import ThrottledLog


def test_warnings_and_errors_are_both_written_later(capfd):
    """In one tick: rclpy refuses a second severity from the same line of code."""
    log = ThrottledLog(rclpy.logging.get_logger('throttled'))
    for number in range(3):
        log.warning('bad', 'message {}'.format, number)
        log.error('disk', f'write {number}')
    assert _written(capfd) == ['[WARN] message 0', '[ERROR] write 0']
    log.tick(time.monotonic() + 1.0)
    assert _written(capfd) == ['[WARN] message 2 (and 1 more)', '[ERROR] write 2 (and 1 more)']


def _written(capfd: pytest.CaptureFixture[str]) -> list[str]:
    lines = capfd.readouterr().err.splitlines()
    return [f'{line.split()[0]} {line.rpartition(": ")[2]}' for line in lines]
