# SPDX-License-Identifier: Apache-2.0
"""When the messages of an input are handled in turns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.core.message_rate import CALM_RATE, CALM_TIME, MANY, MessageRate

LOOK = 0.05  # s


class Bench:
    def __init__(self):
        self.rate, self.now = MessageRate(), 100.0
        self.rate.look(self.now)

    def look(self, messages=0, seconds=LOOK):
        """Messages are handled one by one, or in a turn; then time passes, and it looks."""
        begun = False
        if self.rate.in_turns:
            self.rate.count_turn(messages)
        else:
            begun = [self.rate.count() for _ in range(messages)].count(True) == 1
        self.now += seconds
        return begun, self.rate.look(self.now)


@pytest.fixture
def bench():
    return Bench()


def test_turns_begin_within_a_burst_and_end_when_it_has_been_calm_for_a_while(bench):
    assert bench.look(MANY - 1) == (False, False)
    assert bench.look(MANY - 1) == (False, False)  # they do not add up
    assert bench.look(MANY) == (True, False)
    looks = round(CALM_TIME / LOOK)
    assert [bench.look()[1] for _ in range(looks + 1)].count(True) == 1
    assert not bench.rate.in_turns
    assert bench.look(MANY) == (True, False)


def test_turns_go_on_while_the_rate_is_high(bench):
    bench.look(MANY)
    for _ in range(100):
        assert bench.look(int(CALM_RATE * LOOK)) == (False, False)
    assert bench.rate.in_turns


def test_a_look_that_comes_late_counts_the_rate_and_not_the_messages(bench):
    bench.look(MANY)
    assert bench.look(int(CALM_RATE / 2), seconds=1.0)[1]


def test_a_good_stream_ends_turns(bench):
    """Turns delay a message by some milliseconds, so a stream that one can follow has none."""
    bench.look(MANY)
    assert any(bench.look(int(2500 * LOOK))[1] for _ in range(40))


def test_it_begins_anew(bench):
    bench.look(MANY)
    bench.rate.clear()
    assert not bench.rate.in_turns
    assert bench.look(MANY) == (True, False)


@given(st.lists(st.tuples(st.integers(0, 2 * MANY), st.floats(0.0, 2.0)), max_size=40))
def test_turns_begin_and_end_by_turns(steps):
    bench = Bench()
    events = []
    for messages, seconds in steps:
        begun, ended = bench.look(messages, seconds)
        events += ['begin'] * begun + ['end'] * ended
    assert events == ['begin', 'end'] * (len(events) // 2) + ['begin'] * (len(events) % 2)
    assert bench.rate.in_turns == bool(len(events) % 2)
