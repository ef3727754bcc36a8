"""Whether a worker gets on with its items."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from worker_pipeline.core.work_watch import WorkWatch

TIMEOUT = 2.0


class Shown(NamedTuple):
    """What a worker shows. ``since`` in ns."""

    in_work: int = 0
    since: int = 0
    done: int = 0


def working(number: int, since: float, done: int = 0) -> Shown:
    return Shown(number, int(since * 1e9), done)


def test_an_item_is_overdue_when_it_takes_longer_than_its_time():
    """Not before; by the time at which it was begun, not at which it was seen."""
    watch = WorkWatch()
    shown = working(7, since=10.0)
    assert watch.overdue(shown, 1, 11.9, TIMEOUT) == ''
    assert watch.overdue(shown, 1, 12.0, TIMEOUT) == ''
    assert watch.overdue(shown, 1, 12.1, TIMEOUT) == 'an item took longer than 2 s'


def test_an_item_that_is_overdue_at_first_sight_is_told():
    """A manager that was restarted has not seen it begin."""
    assert WorkWatch().overdue(working(7, since=10.0), 1, 20.0, TIMEOUT)


def test_a_worker_that_goes_from_item_to_item_is_never_overdue():
    """However long it does so, and whether or not it is seen between two of them."""
    watch = WorkWatch()
    for number in range(1, 100):
        begun = number * 1.9
        assert watch.overdue(working(number, begun, number - 1), 3, begun + 0.1, TIMEOUT) == ''
        assert watch.overdue(working(number, begun, number - 1), 3, begun + 1.8, TIMEOUT) == ''


def test_a_worker_that_begins_none_of_what_it_holds_is_told():
    """Counted from when it was first seen so."""
    watch = WorkWatch()
    assert watch.overdue(Shown(), 3, 10.0, TIMEOUT) == ''
    assert watch.overdue(Shown(), 3, 12.0, TIMEOUT) == ''
    assert watch.overdue(Shown(), 4, 12.1, TIMEOUT) == 'it holds 4 items and began none for 2 s'


def test_a_worker_that_holds_nothing_may_rest():
    """And the time begins when it is given something."""
    watch = WorkWatch()
    for now in (0.0, 100.0, 200.0):
        assert watch.overdue(Shown(), 0, now, TIMEOUT) == ''
    assert watch.overdue(Shown(), 1, 300.0, TIMEOUT) == ''
    assert watch.overdue(Shown(), 0, 301.0, TIMEOUT) == ''
    assert watch.overdue(Shown(), 1, 303.0, TIMEOUT) == ''
    assert watch.overdue(Shown(), 1, 305.1, TIMEOUT)


def test_an_item_done_unseen_is_progress():
    """It was begun and ended between two looks."""
    watch = WorkWatch()
    for done in range(10):
        assert watch.overdue(Shown(done=done), 3, done * 1.9, TIMEOUT) == ''
    assert watch.overdue(Shown(done=9), 3, 9 * 1.9 + 2.1, TIMEOUT)


def test_work_ends_a_rest():
    """The rest after it is another one."""
    watch = WorkWatch()
    watch.overdue(Shown(), 1, 10.0, TIMEOUT)
    watch.overdue(working(1, 11.0), 1, 11.5, TIMEOUT)
    assert watch.overdue(Shown(done=1), 1, 12.5, TIMEOUT) == ''
    assert watch.overdue(Shown(done=1), 1, 14.4, TIMEOUT) == ''
    assert watch.overdue(Shown(done=1), 1, 14.6, TIMEOUT)


@pytest.mark.parametrize('shown', [working(7, since=10.0), Shown()])
def test_time_in_which_nobody_could_look_does_not_count(shown: Shown):
    """Neither for an item in work nor for one that is not begun."""
    watch = WorkWatch()
    assert watch.overdue(shown, 1, 10.0, TIMEOUT) == ''
    watch.excuse(3.0)
    watch.excuse(2.0)
    assert watch.overdue(shown, 1, 16.9, TIMEOUT) == ''
    assert watch.overdue(shown, 1, 17.1, TIMEOUT)


@pytest.mark.parametrize('after', [working(8, since=20.0, done=1), Shown(done=1)])
def test_an_excuse_is_for_what_is_at_hand(after: Shown):
    """What comes after has its own time, and no more."""
    watch = WorkWatch()
    watch.overdue(working(7, since=10.0), 1, 10.0, TIMEOUT)
    watch.excuse(100.0)
    assert watch.overdue(after, 1, 20.0, TIMEOUT) == ''
    assert watch.overdue(after, 1, 22.1, TIMEOUT)


def test_an_excuse_while_nothing_was_held_is_not_saved_up():
    """It is of no use to an item that was given later."""
    watch = WorkWatch()
    watch.overdue(Shown(), 0, 0.0, TIMEOUT)
    watch.excuse(100.0)
    assert watch.overdue(Shown(), 1, 10.0, TIMEOUT) == ''
    assert watch.overdue(Shown(), 1, 12.1, TIMEOUT)
