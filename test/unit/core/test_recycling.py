# SPDX-License-Identifier: Apache-2.0
"""Workers that have processed enough, or are old enough."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.core.recycling import LEAST_SHARE, Recycling


def test_without_limits_no_worker_is_replaced():
    assert Recycling().reason(10**9, 1e9, 0, 0.0) == ''


def test_a_worker_is_replaced_after_its_items_or_at_its_age():
    """The reason has the limit."""
    recycling = Recycling(random.Random(1))
    assert recycling.reason(10, 0.0, 10, 0.0) == (
        'it has processed 10 items; max_items_per_worker is 10'
    )
    assert recycling.reason(0, 60.0, 0, 60.0) == 'it is 60.0 s old; max_worker_age is 60 s'


@given(seed=st.integers(0, 1000), limit=st.integers(1, 10_000))
def test_a_worker_is_due_between_nine_tenths_of_the_limit_and_all_of_it(seed: int, limit: int):
    recycling = Recycling(random.Random(seed))
    assert recycling.reason(limit, 0.0, limit, 0.0)
    assert not recycling.reason(int(limit * LEAST_SHARE) - 1, 0.0, limit, 0.0)
    assert recycling.reason(0, float(limit), 0, float(limit))
    assert not recycling.reason(0, limit * LEAST_SHARE - 0.01, 0, float(limit))


def test_workers_that_were_started_together_are_due_at_different_times():
    shares = {Recycling(random.Random(seed))._share for seed in range(10)}
    assert len(shares) == 10
