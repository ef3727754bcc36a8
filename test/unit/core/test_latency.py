# SPDX-License-Identifier: Apache-2.0
"""The latency and rate of a stage."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.core.latency import LatencyWindow


def test_without_deliveries_everything_is_zero():
    """An idle stage reports 0.0 s and 0.0 items per second."""
    window = LatencyWindow()
    assert window.percentile(50) == 0.0
    assert window.percentile(99) == 0.0
    assert window.rate(10.0) == 0.0


@pytest.mark.parametrize(
    ('percent', 'seconds'), [(0, 0.1), (10, 0.1), (50, 0.5), (51, 0.6), (99, 1.0), (100, 1.0)]
)
def test_percentiles_use_the_nearest_rank(percent: float, seconds: float):
    """Of ten latencies the 50th percentile is the fifth, the 51st the sixth."""
    window = LatencyWindow()
    for tenth in (3, 1, 2, 10, 9, 8, 4, 5, 7, 6):
        window.add(tenth / 10)
    assert window.percentile(percent) == seconds


def test_only_the_items_in_the_window_count():
    """Older ones have no weight."""
    window = LatencyWindow(items=3)
    for seconds in (9.0, 1.0, 2.0, 3.0):
        window.add(seconds)
    assert window.percentile(100) == 3.0
    assert window.percentile(1) == 1.0


def test_the_rate_counts_deliveries_since_the_last_call():
    """Also if there were more than the window keeps."""
    window = LatencyWindow(items=2)
    window.rate(100.0)
    for _ in range(10):
        window.add(0.1)
    assert window.rate(105.0) == 2.0
    assert window.rate(106.0) == 0.0
    window.add(0.1)
    assert window.rate(106.5) == 2.0


def test_the_rate_of_an_empty_interval_is_zero():
    """No time has passed, so there is no rate."""
    window = LatencyWindow()
    window.rate(5.0)
    window.add(0.1)
    assert window.rate(5.0) == 0.0


@given(
    st.lists(st.floats(0, 100), min_size=1, max_size=50),
    st.integers(1, 100),
)
def test_a_percentile_is_the_least_value_that_covers_its_share(values: list[float], percent: int):
    """At least ``percent`` of the values are at or below it, and fewer below any smaller value."""
    window = LatencyWindow()
    for each in values:
        window.add(each)
    found = window.percentile(percent)
    needed = math.ceil(len(values) * percent / 100)
    assert found in values
    assert sum(each <= found for each in values) >= needed
    assert sum(each < found for each in values) < needed
