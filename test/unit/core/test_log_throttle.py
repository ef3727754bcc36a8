# SPDX-License-Identifier: Apache-2.0
"""One line a second for each cause; nothing is left uncounted."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.core.log_throttle import PERIOD, LogThrottle, Withheld


def test_of_ten_thousand_the_first_is_logged_at_once_and_the_rest_counted_a_second_later():
    throttle = LogThrottle()
    logged = [throttle.note('bad', number, 0.0) for number in range(10_000)]
    assert logged == [True] + [False] * 9_999
    assert throttle.due(0.9) == []
    assert throttle.due(1.0) == [('bad', Withheld(detail=9_999, more=9_998))]
    assert throttle.due(9.0) == []


def test_causes_do_not_hide_each_other():
    throttle = LogThrottle()
    assert throttle.note('a', None, 0.0)
    assert throttle.note('b', None, 0.0)


@given(
    st.lists(
        st.tuples(st.sampled_from('ab'), st.floats(0, 0.7), st.booleans()), min_size=1, max_size=60
    )
)
def test_every_event_is_told_once_and_lines_of_a_cause_are_a_period_apart(events):
    throttle, now = LogThrottle(), 0.0
    told, noted, written = Counter(), Counter(), defaultdict(list)

    def tick():
        for cause, withheld in throttle.due(now):
            told[cause] += 1 + withheld.more
            written[cause].append(now)

    for cause, pause, ticks in events:
        now += pause
        noted[cause] += 1
        if throttle.note(cause, None, now):
            told[cause] += 1
            written[cause].append(now)
        if ticks:
            tick()
    now += PERIOD
    tick()
    assert told == noted
    for times in written.values():
        assert all(b - a >= PERIOD for a, b in pairwise(times))
