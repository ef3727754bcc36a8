"""ROS time that goes on where the system's is set back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.core.forward_clock import ForwardClock

SECOND = 1_000_000_000
steps = st.lists(
    st.tuples(st.integers(2_000_000, SECOND), st.integers(-100 * SECOND, 100 * SECOND)),
    min_size=1,
)


@given(steps)
def test_moments_keep_their_order_whatever_ros_time_does(history):
    """And ROS time is never behind the true one, nor ahead by more than it was set back."""
    clock = ForwardClock()
    steady, offset, furthest, stamps = 1, 1_700_000_000 * SECOND, 0, []
    for passed, step in history:
        steady += passed
        offset += step
        furthest = max(furthest, offset)
        clock.follow(steady, steady + offset)
        stamps.append(clock.ros_time(steady))
        # What is told is behind our time, which may be behind the furthest itself.
        assert abs(clock.set_back - (furthest - offset)) <= 2_000_000
        assert abs(stamps[-1] - (steady + furthest)) <= 1_000_000
    assert stamps == sorted(set(stamps))
