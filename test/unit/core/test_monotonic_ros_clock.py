# SPDX-License-Identifier: Apache-2.0
"""ROS time that never goes back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.core.monotonic_ros_clock import MonotonicRosClock

SECOND = 1_000_000_000
steps = st.lists(
    st.tuples(st.integers(2_000_000, SECOND), st.integers(-100 * SECOND, 100 * SECOND)),
    min_size=1,
)


@given(steps)
def test_converted_times_keep_their_order_whatever_ros_time_does(history):
    """They are never behind ROS time, and ahead of it only by as much as it was set back."""
    clock = MonotonicRosClock()
    steady, offset, furthest, stamps = 1, 1_700_000_000 * SECOND, 0, []
    for passed, step in history:
        steady += passed
        offset += step
        furthest = max(furthest, offset)
        clock.update(steady, steady + offset)
        stamps.append(clock.ros_time(steady))
        # ROS time is behind the converted time, which may be behind the furthest one itself.
        assert abs(clock.set_back - (furthest - offset)) <= 2_000_000
        assert abs(stamps[-1] - (steady + furthest)) <= 1_000_000
    assert stamps == sorted(set(stamps))
