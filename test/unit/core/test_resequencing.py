"""Restoring order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.core.resequencing import Resequencer


def test_places_count_up_from_zero():
    """The places are handed out in order, each once."""
    order: Resequencer[str] = Resequencer()
    assert [order.take_place() for _ in range(3)] == [0, 1, 2]


def test_the_first_place_leaves_at_once():
    """What is finished in its turn is released by the same call."""
    order: Resequencer[str] = Resequencer()
    order.take_place()
    assert order.finish(0, ['a']) == ['a']
    assert order.held == 0


def test_a_later_place_waits_for_the_earlier_one():
    """What is finished early is held, and leaves together with what it waited for."""
    order: Resequencer[str] = Resequencer()
    for _ in range(3):
        order.take_place()
    assert order.finish(2, ['c']) == []
    assert order.finish(1, ['b']) == []
    assert order.held == 2
    assert order.finish(0, ['a']) == ['a', 'b', 'c']
    assert order.held == 0


def test_release_stops_at_the_next_gap():
    """Only the unbroken run of finished places leaves."""
    order: Resequencer[str] = Resequencer()
    for _ in range(4):
        order.take_place()
    order.finish(1, ['b'])
    order.finish(3, ['d'])
    assert order.finish(0, ['a']) == ['a', 'b']
    assert order.held == 1


def test_a_place_without_results_lets_the_next_ones_pass():
    """An empty place releases nothing of its own and blocks nobody."""
    order: Resequencer[str] = Resequencer()
    for _ in range(2):
        order.take_place()
    order.finish(1, ['b'])
    assert order.finish(0, []) == ['b']


def test_several_results_of_a_place_stay_together_and_in_order():
    """A place may release more than one result."""
    order: Resequencer[str] = Resequencer()
    for _ in range(2):
        order.take_place()
    order.finish(1, ['b1', 'b2'])
    assert order.finish(0, ['a1', 'a2']) == ['a1', 'a2', 'b1', 'b2']


@pytest.mark.parametrize('place', [-1, 0, 2, 3])
def test_a_place_that_is_not_open_is_refused(place: int):
    """Never taken, released or held already: each is a ValueError that names the place."""
    order: Resequencer[str] = Resequencer()
    for _ in range(3):
        order.take_place()
    order.finish(0, ['a'])
    order.finish(2, ['c'])
    with pytest.raises(ValueError, match=f'place {place} is not open; open are 1 to 2'):
        order.finish(place, ['again'])
    assert order.finish(1, ['b']) == ['b', 'c']


def test_results_that_were_handed_in_are_not_changed():
    """The caller's list is left alone when later places are joined to it."""
    order: Resequencer[str] = Resequencer()
    for _ in range(2):
        order.take_place()
    mine = ['a']
    order.finish(1, ['b'])
    order.finish(0, mine)
    assert mine == ['a']


@given(st.permutations(range(12)), st.lists(st.integers(0, 3), min_size=12, max_size=12))
def test_any_order_of_finishing_releases_everything_in_the_order_of_places(
    finished: list[int], counts: list[int]
):
    """Whatever the order of finishing, all results leave once, by place, as soon as they may."""
    order: Resequencer[tuple[int, int]] = Resequencer()
    for _ in finished:
        order.take_place()
    results = {place: [(place, each) for each in range(counts[place])] for place in finished}
    released: list[tuple[int, int]] = []
    done: set[int] = set()
    for place in finished:
        released += order.finish(place, results[place])
        done.add(place)
        first_open = next((each for each in range(12) if each not in done), 12)
        assert released == [each for earlier in range(first_open) for each in results[earlier]]
        assert order.held == len(done) - first_open
