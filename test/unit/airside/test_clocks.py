"""The clocks of this machine."""

from __future__ import annotations

import time

from worker_pipeline.airside.clocks import read_clocks

SECOND = 1_000_000_000


def test_a_look_at_both_clocks_is_one_moment():
    before = time.monotonic_ns()
    steady, ros = read_clocks()
    assert before <= steady <= time.monotonic_ns()
    assert abs(ros - time.time_ns()) < SECOND
