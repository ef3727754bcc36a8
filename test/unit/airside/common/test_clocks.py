# SPDX-License-Identifier: Apache-2.0
"""The clocks of this machine."""

from __future__ import annotations

import time

from worker_pipeline.airside.common.clocks import read_steady_and_ros_time

SECOND = 1_000_000_000


def test_both_clocks_are_read_at_the_same_moment():
    before = time.monotonic_ns()
    steady, ros = read_steady_and_ros_time()
    assert before <= steady <= time.monotonic_ns()
    assert abs(ros - time.time_ns()) < SECOND
