# SPDX-License-Identifier: Apache-2.0
"""The period of a source, its jitter, and what is missing between its stamps."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.core.source_rate import GAPS_IN_A_ROW, MIN_STEPS, WINDOW, SourceRate

MS = 1_000_000


def fed(*steps: int) -> SourceRate:
    rate = SourceRate()
    for step in steps:
        rate.step(step)
        rate.look()
    return rate


def test_the_rate_is_that_of_the_median_step():
    rate = fed(*[50 * MS] * 20, 400 * MS)
    assert rate.rate == pytest.approx(20.0)
    assert rate.jitter == 0


def test_too_few_steps_show_no_rate():
    rate = fed(*[50 * MS] * (MIN_STEPS - 1))
    assert (rate.rate, rate.jitter) == (0, 0)


def test_the_jitter_is_the_median_deviation():
    assert fed(*[48 * MS, 52 * MS] * 20).jitter == 2 * MS


def test_missing_messages_are_counted_by_gap():
    rate = fed(*[50 * MS] * 20, 100 * MS, *[50 * MS] * 3, 205 * MS, 50 * MS)
    assert (rate.gaps, rate.missing) == (2, 4)


def test_a_pause_of_the_source_is_one_gap_in_which_nothing_is_counted():
    rate = fed(*[50 * MS] * 20, 60_000 * MS)
    assert (rate.gaps, rate.missing) == (1, 0)


def test_a_source_without_a_period_has_no_gaps():
    generator = random.Random(1)
    rate = fed(*[generator.randrange(1 * MS, 3000 * MS) for _ in range(500)])
    assert (rate.gaps, rate.missing) == (0, 0)


@pytest.mark.parametrize(('before', 'after'), [(33, 66), (66, 33), (33, 200), (100, 101)])
def test_another_period_is_no_gap(before, after):
    rate = fed(*[before * MS] * WINDOW, *[after * MS] * 3 * WINDOW)
    assert (rate.gaps, rate.missing) == (0, 0)
    assert rate.rate == pytest.approx(1000 / after)


def test_a_row_of_gaps_that_ends_in_time_is_counted():
    rate = fed(*[50 * MS] * 20, *[100 * MS] * (GAPS_IN_A_ROW - 1), 50 * MS, 100 * MS)
    assert (rate.gaps, rate.missing) == (GAPS_IN_A_ROW, GAPS_IN_A_ROW)


def test_stamps_that_do_not_advance_are_counted_apart():
    rate = fed(*[50 * MS] * 20, 0, -5 * MS)
    assert rate.back == 2
    assert rate.rate == pytest.approx(20.0)


@given(
    period=st.integers(MS, 1000 * MS),
    lost=st.sets(st.integers(WINDOW, WINDOW + 300), max_size=40),
    seed=st.integers(0, 99),
)
def test_what_is_lost_here_and_there_is_counted_exactly(period, lost, seed):
    """With a jitter of a tenth of the period."""
    generator = random.Random(seed)
    # Fewer in a row than what is taken for another period.
    singles = {each for each in lost if not {each - 1, each - 2} & lost}
    stamps = [
        number * period + generator.randrange(period // 10)
        for number in range(WINDOW + 310)
        if number not in singles
    ]
    rate = fed(*(after - before for before, after in pairwise(stamps)))
    assert rate.gaps == len(singles)
    assert rate.missing == (len(singles) if period <= 900 * MS else rate.missing)


@given(st.lists(st.integers(-(10**19), 10**19), max_size=300))
def test_no_steps_make_a_negative_count(steps):
    rate = fed(*steps)
    assert 0 <= rate.gaps <= len(steps)
    assert rate.missing >= 0
    assert rate.rate >= 0
    assert rate.jitter >= 0
