"""Counters that grow, and for how long it is told."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.core.recent_growth import RecentGrowth


def test_a_new_counter_has_not_grown():
    """Whatever it stands at."""
    assert RecentGrowth(3.0).of('restarts', 7, 100.0) == (0, 0.0)


def test_growth_is_told_for_the_window_and_no_longer():
    """Asked once a second, a step shows in as many answers as the window has seconds."""
    growth = RecentGrowth(3.0)
    told = [growth.of('restarts', int(second >= 5), float(second))[0] for second in range(12)]
    assert told == [0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0]


def test_counters_do_not_mix():
    """Each has its own past."""
    growth = RecentGrowth(3.0)
    growth.of('a', 0, 0.0)
    growth.of('b', 10, 0.0)
    assert growth.of('a', 5, 1.0) == (5, 1.0)
    assert growth.of('b', 10, 1.0) == (0, 1.0)


def test_one_that_nobody_asks_for_is_forgotten():
    """Workers come and go: what is kept does not grow."""
    growth = RecentGrowth(3.0)
    growth.of('gone', 0, 0.0)
    growth.of('there', 0, 0.0)
    growth.of('there', 0, 4.0)
    growth.forget(4.0)
    assert growth.of('gone', 9, 4.5) == (0, 0.0)
    assert growth.of('there', 9, 4.5) == (9, 4.5)


@given(st.lists(st.tuples(st.floats(0.01, 5.0), st.integers(0, 100)), min_size=1, max_size=50))
def test_what_is_told_is_what_was_counted_since(steps):
    """The growth is the difference to an earlier value, at least as old as the window if any is."""
    growth, now, value, past = RecentGrowth(3.0), 0.0, 0, []
    for wait, more in steps:
        now, value = now + wait, value + more
        past.append((now, value))
        grown, seconds = growth.of('counter', value, now)
        assert any(grown == value - then and seconds == now - at for at, then in past)
        assert seconds >= 3.0 or seconds == now - past[0][0]
