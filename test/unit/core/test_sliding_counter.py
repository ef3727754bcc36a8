# SPDX-License-Identifier: Apache-2.0
"""The recent growth of counters."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.core.sliding_counter import SlidingCounter


def test_a_new_counter_has_not_grown():
    """With any value."""
    assert SlidingCounter(3.0).delta('restarts', 7, 100.0) == (0, 0.0)


def test_growth_is_reported_for_the_length_of_the_window():
    """With one call per second a step appears in as many results as the window has seconds."""
    growth = SlidingCounter(3.0)
    deltas = [growth.delta('restarts', int(second >= 5), float(second))[0] for second in range(12)]
    assert deltas == [0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0]


def test_counters_are_independent():
    """Each has its own past."""
    growth = SlidingCounter(3.0)
    growth.delta('a', 0, 0.0)
    growth.delta('b', 10, 0.0)
    assert growth.delta('a', 5, 1.0) == (5, 1.0)
    assert growth.delta('b', 10, 1.0) == (0, 1.0)


def test_unused_counters_are_removed():
    """Workers come and go, and memory must not grow."""
    growth = SlidingCounter(3.0)
    growth.delta('gone', 0, 0.0)
    growth.delta('there', 0, 0.0)
    growth.delta('there', 0, 4.0)
    growth.forget(4.0)
    assert growth.delta('gone', 9, 4.5) == (0, 0.0)
    assert growth.delta('there', 9, 4.5) == (9, 4.5)


@given(st.lists(st.tuples(st.floats(0.01, 5.0), st.integers(0, 100)), min_size=1, max_size=50))
def test_the_delta_is_the_difference_to_an_earlier_value(steps):
    """To one at least as old as the window, if there is one."""
    growth, now, value, past = SlidingCounter(3.0), 0.0, 0, []
    for wait, more in steps:
        now, value = now + wait, value + more
        past.append((now, value))
        grown, seconds = growth.delta('counter', value, now)
        assert any(grown == value - then and seconds == now - at for at, then in past)
        assert seconds >= 3.0 or seconds == now - past[0][0]
