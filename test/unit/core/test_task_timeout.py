# SPDX-License-Identifier: Apache-2.0
"""The time limit for items."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.core.task_timeout import TaskTimeout

TIMEOUT = 2.0


class Liveness(NamedTuple):
    """A liveness record. ``active_since`` in ns."""

    active_item: int = 0
    active_since: int = 0
    finished_items: int = 0


def processing(number: int, since: float, done: int = 0) -> Liveness:
    return Liveness(number, int(since * 1e9), done)


def test_an_item_that_takes_longer_than_the_timeout_is_detected():
    """The time runs from the start of its processing, not from the first check."""
    watch = TaskTimeout()
    shown = processing(7, since=10.0)
    assert watch.check(shown, 1, 11.9, TIMEOUT) == ''
    assert watch.check(shown, 1, 12.0, TIMEOUT) == ''
    assert watch.check(shown, 1, 12.1, TIMEOUT) == 'an item took longer than 2 s'


def test_an_item_that_is_overdue_at_the_first_check_is_detected():
    """As after a restart of the manager."""
    assert TaskTimeout().check(processing(7, since=10.0), 1, 20.0, TIMEOUT)


def test_a_worker_that_finishes_items_in_time_is_never_overdue():
    """Whether or not it is seen idle between two of them."""
    watch = TaskTimeout()
    for number in range(1, 100):
        begun = number * 1.9
        assert watch.check(processing(number, begun, number - 1), 3, begun + 0.1, TIMEOUT) == ''
        assert watch.check(processing(number, begun, number - 1), 3, begun + 1.8, TIMEOUT) == ''


def test_a_worker_that_does_not_start_its_items_is_detected():
    """The time runs from the first check that saw it idle."""
    watch = TaskTimeout()
    assert watch.check(Liveness(), 3, 10.0, TIMEOUT) == ''
    assert watch.check(Liveness(), 3, 12.0, TIMEOUT) == ''
    assert watch.check(Liveness(), 4, 12.1, TIMEOUT) == 'it holds 4 items and started none for 2 s'


def test_a_worker_without_items_may_be_idle():
    """The time runs from when it gets an item."""
    watch = TaskTimeout()
    for now in (0.0, 100.0, 200.0):
        assert watch.check(Liveness(), 0, now, TIMEOUT) == ''
    assert watch.check(Liveness(), 1, 300.0, TIMEOUT) == ''
    assert watch.check(Liveness(), 0, 301.0, TIMEOUT) == ''
    assert watch.check(Liveness(), 1, 303.0, TIMEOUT) == ''
    assert watch.check(Liveness(), 1, 305.1, TIMEOUT)


def test_an_item_processed_between_two_checks_is_progress():
    """It was begun and ended between two looks."""
    watch = TaskTimeout()
    for done in range(10):
        assert watch.check(Liveness(finished_items=done), 3, done * 1.9, TIMEOUT) == ''
    assert watch.check(Liveness(finished_items=9), 3, 9 * 1.9 + 2.1, TIMEOUT)


def test_processing_an_item_ends_an_idle_period():
    """The next idle period has its own time."""
    watch = TaskTimeout()
    watch.check(Liveness(), 1, 10.0, TIMEOUT)
    watch.check(processing(1, 11.0), 1, 11.5, TIMEOUT)
    assert watch.check(Liveness(finished_items=1), 1, 12.5, TIMEOUT) == ''
    assert watch.check(Liveness(finished_items=1), 1, 14.4, TIMEOUT) == ''
    assert watch.check(Liveness(finished_items=1), 1, 14.6, TIMEOUT)


@pytest.mark.parametrize('shown', [processing(7, since=10.0), Liveness()])
def test_time_in_which_the_manager_was_held_up_does_not_count(shown: Liveness):
    """Neither for an item being processed nor for one not started."""
    watch = TaskTimeout()
    assert watch.check(shown, 1, 10.0, TIMEOUT) == ''
    watch.extend_deadlines(3.0, 13.5)
    watch.extend_deadlines(2.0, 16.0)
    assert watch.check(shown, 1, 16.9, TIMEOUT) == ''
    assert watch.check(shown, 1, 17.1, TIMEOUT)


def test_an_item_that_was_begun_just_before_a_pause_is_not_overdue_after_it():
    """Nothing had seen it before: the manager slept from 0.05 s to 12 s, and so did the worker."""
    watch = TaskTimeout()
    assert watch.check(processing(1, since=0.0), 2, 0.05, TIMEOUT) == ''
    watch.extend_deadlines(11.95, 12.0)
    assert watch.check(processing(2, since=0.06, done=1), 1, 12.0, TIMEOUT) == ''
    assert watch.check(processing(2, since=0.06, done=1), 1, 13.9, TIMEOUT) == ''
    assert watch.check(processing(2, since=0.06, done=1), 1, 14.2, TIMEOUT)


def test_of_a_pause_only_what_an_item_has_seen_of_it_is_left_out():
    """A worker that went on meanwhile began it in the middle of the manager's pause."""
    watch = TaskTimeout()
    watch.extend_deadlines(10.0, 20.0)
    assert watch.check(processing(3, since=18.0), 1, 21.9, TIMEOUT) == ''
    assert watch.check(processing(3, since=18.0), 1, 22.1, TIMEOUT)


@pytest.mark.parametrize('after', [processing(8, since=20.0, done=1), Liveness(finished_items=1)])
def test_a_pause_is_for_the_items_of_its_time_only(after: Liveness):
    """A later one has the usual time."""
    watch = TaskTimeout()
    watch.check(processing(7, since=10.0), 1, 10.0, TIMEOUT)
    watch.extend_deadlines(9.0, 19.5)
    assert watch.check(after, 1, 20.0, TIMEOUT) == ''
    assert watch.check(after, 1, 22.1, TIMEOUT)


@given(
    st.lists(st.tuples(st.floats(0, 3), st.floats(0, 20)), max_size=8),
    st.floats(0, 100),
)
def test_an_item_has_its_time_of_what_is_not_paused(
    history: list[tuple[float, float]], since: float
):
    """Whenever it was begun, and however often the manager was held up."""
    watch, now, worked = TaskTimeout(), since, 0.0
    for running, pause in history:
        now, worked = now + running, worked + running
        overdue = watch.check(processing(5, since), 1, now, TIMEOUT)
        if abs(worked - TIMEOUT) > 1e-6:
            assert bool(overdue) == (worked > TIMEOUT)
        now += pause
        watch.extend_deadlines(pause, now)


def test_an_extension_without_items_is_not_saved_up():
    """An item that comes later does not benefit from it."""
    watch = TaskTimeout()
    watch.check(Liveness(), 0, 0.0, TIMEOUT)
    watch.extend_deadlines(9.0, 9.5)
    assert watch.check(Liveness(), 1, 10.0, TIMEOUT) == ''
    assert watch.check(Liveness(), 1, 12.1, TIMEOUT)


def test_pauses_are_forgotten_while_a_worker_is_idle():
    """A loaded machine holds the manager up again and again."""
    watch = TaskTimeout()
    for second in range(1000):
        watch.extend_deadlines(0.5, second + 0.5)
        watch.check(Liveness(), 0, second + 0.6, TIMEOUT)
    assert len(watch._pauses) <= 1
