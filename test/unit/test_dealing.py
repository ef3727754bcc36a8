# SPDX-License-Identifier: Apache-2.0
"""How the tests are dealt to the processes that run them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.dealing import deal

TESTS = st.lists(st.tuples(st.sampled_from('abcde'), st.sampled_from([0.0, 0.0, 0.0, 1.0, 9.0])))


@given(TESTS, st.integers(1, 4))
def test_every_test_is_dealt_once(tests, processes):
    """Also if there are fewer than processes."""
    numbered = [(*each, number) for number, each in enumerate(tests)]
    dealt = deal(numbered, processes, lambda each: each[1], lambda each: each[0])
    assert sorted(dealt) == sorted(numbered)


@pytest.mark.parametrize('processes', [1, 2, 3])
def test_each_part_begins_with_long_tests_and_ends_with_short_ones(processes):
    """The long ones take about the same time in each; groups stay together."""
    costs = {'storm': 50.0, 'ros': 4.0, 'unit': 0.0}
    tests = 100 * ['unit'] + 12 * ['ros'] + 2 * ['storm']
    dealt = deal(tests, processes, costs.__getitem__, lambda each: each)
    size = len(tests) // processes
    for begin in range(0, size * processes, size):
        part = [costs[each] for each in dealt[begin : begin + size]]
        assert part == sorted(part, reverse=True)
        assert part[-1] == 0.0
    if processes == 2:
        assert [dealt[:2], dealt[size : size + 12]] == [2 * ['storm'], 12 * ['ros']]
