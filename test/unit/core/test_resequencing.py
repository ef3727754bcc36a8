# SPDX-License-Identifier: Apache-2.0
"""The order of results."""

from __future__ import annotations

import marshal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.core.resequencing import Resequencer


def test_places_count_up_from_zero():
    """In order, each once."""
    order: Resequencer[str] = Resequencer()
    assert [order.take_place() for _ in range(3)] == [0, 1, 2]


def test_the_next_place_is_released_at_once():
    """By the same call."""
    order: Resequencer[str] = Resequencer()
    order.take_place()
    assert order.finish(0, ['a']) == ['a']
    assert order.held == 0


def test_a_later_place_waits_for_the_earlier_one():
    """Both are released together."""
    order: Resequencer[str] = Resequencer()
    for _ in range(3):
        order.take_place()
    assert order.finish(2, ['c']) == []
    assert order.finish(1, ['b']) == []
    assert order.held == 2
    assert order.finish(0, ['a']) == ['a', 'b', 'c']
    assert order.held == 0


def test_release_stops_at_the_next_gap():
    """Only an unbroken run of finished places is released."""
    order: Resequencer[str] = Resequencer()
    for _ in range(4):
        order.take_place()
    order.finish(1, ['b'])
    order.finish(3, ['d'])
    assert order.finish(0, ['a']) == ['a', 'b']
    assert order.held == 1


def test_a_place_without_results_does_not_block_later_ones():
    """They are released with it."""
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
def test_a_place_that_is_not_open_is_rejected(place: int):
    """Whether it was never taken, is held back or was released; the error names it."""
    order: Resequencer[str] = Resequencer()
    for _ in range(3):
        order.take_place()
    order.finish(0, ['a'])
    order.finish(2, ['c'])
    with pytest.raises(ValueError, match=f'place {place} is not open; open are 1 to 2'):
        order.finish(place, ['again'])
    assert order.finish(1, ['b']) == ['b', 'c']


def test_lists_of_results_are_not_changed():
    """Also if results of later places are appended to them."""
    order: Resequencer[str] = Resequencer()
    for _ in range(2):
        order.take_place()
    mine = ['a']
    order.finish(1, ['b'])
    order.finish(0, mine)
    assert mine == ['a']


def test_unwanted_results_are_discarded():
    """Of those held back; their places stay finished."""
    order: Resequencer[str] = Resequencer()
    for _ in range(4):
        order.take_place()
    order.finish(1, ['b1', 'x', 'b2'])
    order.finish(2, ['x'])
    order.finish(3, ['d'])
    order.discard(lambda result: result == 'x')
    assert order.held == 3
    with pytest.raises(ValueError, match='place 2 is not open'):
        order.finish(2, ['again'])
    assert order.finish(0, ['x']) == ['x', 'b1', 'b2', 'd']
    assert order.held == 0


def test_discarding_does_not_change_the_lists_of_the_caller():
    """The caller's list is not changed."""
    order: Resequencer[str] = Resequencer()
    for _ in range(2):
        order.take_place()
    mine = ['x']
    order.finish(1, mine)
    order.discard(lambda _: True)
    assert mine == ['x']
    assert order.finish(0, []) == []


def test_a_snapshot_of_a_new_order_starts_with_place_zero():
    """The snapshot of one that was never used, restored, begins with place 0."""
    order: Resequencer[str] = Resequencer()
    state = order.snapshot(str)
    assert state == {'next_place': 0, 'next_release': 0, 'held': {}}
    again: Resequencer[str] = Resequencer()
    again.restore(state, str)
    assert again.take_place() == 0


def test_a_snapshot_is_plain_and_restores_the_order():
    """Results are converted by the given functions."""
    order: Resequencer[complex] = Resequencer()
    for _ in range(5):
        order.take_place()
    order.finish(0, [0j])
    order.finish(2, [2j, 2.5j])
    order.finish(4, [])
    state = marshal.loads(marshal.dumps(order.snapshot(lambda result: result.imag)))
    assert state == {'next_place': 5, 'next_release': 1, 'held': {2: [2.0, 2.5], 4: []}}

    again: Resequencer[complex] = Resequencer()
    again.restore(state, lambda imaginary: complex(0, imaginary))
    assert again.held == 2
    assert again.take_place() == 5
    with pytest.raises(ValueError, match='place 4 is not open; open are 1 to 5'):
        again.finish(4, [])
    assert again.finish(1, [1j]) == [1j, 2j, 2.5j]
    assert again.finish(3, [3j]) == [3j]
    assert again.held == 0


def test_restoring_replaces_the_former_state():
    """No result that was held back before is left."""
    order: Resequencer[str] = Resequencer()
    for _ in range(3):
        order.take_place()
    order.finish(2, ['c'])
    order.restore({'next_place': 1, 'next_release': 0, 'held': {}}, str)
    assert order.held == 0
    assert order.finish(0, ['a']) == ['a']
    assert order.take_place() == 1


def test_a_snapshot_and_the_restored_order_are_independent():
    """A change of one does not affect the other."""
    order: Resequencer[str] = Resequencer()
    for _ in range(3):
        order.take_place()
    order.finish(1, ['b'])
    state = order.snapshot(str)
    again: Resequencer[str] = Resequencer()
    again.restore(state, str)
    order.discard(lambda _: True)
    order.finish(2, ['c'])
    assert state == {'next_place': 3, 'next_release': 0, 'held': {1: ['b']}}
    assert again.finish(0, ['a']) == ['a', 'b']
    assert again.finish(2, ['C']) == ['C']
    assert state['held'] == {1: ['b']}


@given(st.permutations(range(12)), st.lists(st.integers(0, 3), min_size=12, max_size=12))
def test_any_order_of_finishing_releases_everything_in_the_order_of_places(
    finished: list[int], counts: list[int]
):
    """Each result once, and as soon as possible."""
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


@given(st.permutations(range(8)), st.integers(0, 8), st.sets(st.integers(0, 7)))
def test_an_order_restored_at_any_moment_continues_like_the_first(
    finished: list[int], moment: int, unwanted: set[int]
):
    """Also if some results were discarded."""
    order: Resequencer[int] = Resequencer()
    again: Resequencer[int] = Resequencer()
    for _ in finished:
        order.take_place()
    for place in finished[:moment]:
        order.finish(place, [place])
    order.discard(unwanted.__contains__)
    again.restore(marshal.loads(marshal.dumps(order.snapshot(int))), int)
    for place in finished[moment:]:
        assert again.finish(place, [place]) == order.finish(place, [place])
    assert again.held == order.held == 0
