# SPDX-License-Identifier: Apache-2.0
"""A worker's lines are admitted up to a rate; every other one is counted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.output.rate_limit import RateLimit


def test_a_burst_is_admitted_and_what_is_beyond_it_counted():
    limit = RateLimit(lines=10, size=1e6, burst=2)
    limit.refill(0.0)
    assert [limit.admits(1) for _ in range(25)] == [True] * 20 + [False] * 5
    assert limit.dropped == 5


def test_time_admits_more():
    limit = RateLimit(lines=10, size=1e6, burst=1)
    limit.refill(5.0)
    assert [limit.admits(1) for _ in range(11)][-1] is False
    limit.refill(5.05)
    assert not limit.has_room
    limit.refill(5.35)
    assert limit.has_room
    assert [limit.admits(1) for _ in range(4)] == [True, True, True, False]


def test_bytes_are_limited_too():
    limit = RateLimit(lines=1e6, size=100, burst=1)
    limit.refill(0.0)
    assert [limit.admits(60) for _ in range(3)] == [True, True, False]


def test_a_clock_that_stands_or_goes_back_admits_nothing_more():
    limit = RateLimit(lines=1, size=100, burst=1)
    limit.refill(9.0)
    assert limit.admits(1)
    for now in (9.0, 3.0):
        limit.refill(now)
        assert not limit.has_room


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(0, 300)), max_size=200))
def test_never_more_than_the_rate_and_one_burst(steps):
    limit = RateLimit(lines=10, size=1000, burst=2)
    now, lines, size, refused = 0.0, 0, 0, 0
    limit.refill(now)
    for wait, length in steps:
        now += wait
        limit.refill(now)
        if limit.admits(length):
            lines, size = lines + 1, size + length
        else:
            refused += 1
    assert lines <= 10 * (now + 2) + 1e-6
    assert size <= 1000 * (now + 2) + 300
    assert limit.dropped == refused
