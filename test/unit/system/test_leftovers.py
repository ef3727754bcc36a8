# SPDX-License-Identifier: Apache-2.0
"""What becomes of the processes that a dead worker has left behind: decisions without processes."""

from __future__ import annotations

import signal

import pytest

from worker_pipeline.system.leftovers import (
    KILL_TIMEOUT,
    TERMINATE_GRACE,
    TRACKER_GRACE,
    Leftovers,
    Signal,
    attribute,
    left_by,
)
from worker_pipeline.system.process_table import Process, families

KILL, TERM, CONT = signal.SIGKILL, signal.SIGTERM, signal.SIGCONT


def process(pid: int, parent: int = 1, session: int = 0) -> Process:
    return Process(pid, parent, session, start=pid, name=f'p{pid}')


def test_nothing_is_waited_for_where_nothing_was_left():
    leftovers = Leftovers(7, orderly=True, now=0.0)
    assert leftovers.update([], [], 0.0) == []
    assert leftovers.is_over
    assert leftovers.names == {}


def test_what_a_crashed_worker_has_left_is_killed_at_once():
    """And again, until it has exited; so is what appears meanwhile."""
    leftovers = Leftovers(7, orderly=False, now=0.0)
    assert leftovers.update([process(8)], [], 0.0) == [Signal(8, KILL)]
    assert leftovers.update([process(8), process(9)], [], 0.01) == [
        Signal(8, KILL),
        Signal(9, KILL),
    ]
    assert not leftovers.is_over
    assert leftovers.update([], [], 0.02) == []
    assert leftovers.is_over
    assert leftovers.names == {8: 'p8', 9: 'p9'}
    assert leftovers.outcome == 'killed'


def test_what_a_worker_has_left_at_its_shutdown_is_terminated_first():
    """Also if it is stopped; it is killed when it does not exit within the grace period."""
    leftovers = Leftovers(7, orderly=True, now=5.0)
    assert leftovers.update([process(8)], [], 5.0) == [Signal(8, TERM), Signal(8, CONT)]
    assert leftovers.update([process(8)], [], 5.0 + TERMINATE_GRACE / 2) == []
    assert leftovers.outcome == 'terminated'
    assert leftovers.update([process(8)], [], 5.0 + TERMINATE_GRACE) == [Signal(8, KILL)]
    leftovers.update([], [], 6.0)
    assert leftovers.outcome == 'killed'


def test_what_is_started_in_the_place_of_a_terminated_process_is_killed():
    """Terminating it too would go on for the whole grace period."""
    leftovers = Leftovers(7, orderly=True, now=0.0)
    leftovers.update([process(8)], [], 0.0)
    assert leftovers.update([process(9)], [], 0.1) == []
    assert leftovers.update([process(9)], [], TERMINATE_GRACE) == [Signal(9, KILL)]
    assert leftovers.names == {8: 'p8', 9: 'p9'}


@pytest.mark.parametrize('orderly', [False, True])
def test_a_resource_tracker_gets_the_time_to_clean_up(orderly: bool):
    """It exits by itself, and is not mentioned."""
    leftovers = Leftovers(7, orderly=orderly, now=0.0)
    assert leftovers.update([process(8)], [8], 0.0) == []
    assert not leftovers.is_over
    leftovers.update([], [], 0.1)
    assert leftovers.is_over
    assert leftovers.names == {}


def test_a_resource_tracker_that_stays_is_killed():
    leftovers = Leftovers(7, orderly=False, now=0.0)
    leftovers.update([process(8)], [8], 0.0)
    assert leftovers.update([process(8)], [8], TRACKER_GRACE) == [Signal(8, KILL)]


def test_a_process_that_cannot_be_killed_is_given_up():
    """It waits for a device, perhaps for ever."""
    leftovers = Leftovers(7, orderly=False, now=0.0)
    leftovers.update([process(8)], [], 0.0)
    leftovers.update([process(8)], [], TRACKER_GRACE + KILL_TIMEOUT - 0.01)
    assert not leftovers.is_over
    leftovers.update([process(8)], [], TRACKER_GRACE + KILL_TIMEOUT)
    assert leftovers.is_over
    assert leftovers.outcome == 'still running after SIGKILL'


def test_leftovers_are_attributed_by_mark_and_session():
    """Else to the first of the dead: they are certainly nobody's who lives."""
    by_session, by_mark, unknown = process(10, session=3), process(11, session=11), process(12)
    inherited = process(13, parent=10, session=13)
    left = {10: [by_session, inherited], 11: [by_mark], 12: [unknown]}
    assert attribute(left, [2, 3], {11: 3}) == {2: [unknown], 3: [by_session, inherited, by_mark]}
    assert attribute({}, [2, 3], {}) == {2: [], 3: []}


def test_a_family_has_all_generations():
    """In whatever order the processes are listed."""
    table = [process(5, 4), process(4, 3), process(3, 2), process(9, 1), process(6, 3)]
    assert {each.pid for each in families(table, [3])[3]} == {3, 4, 5, 6}
    assert {each.pid for each in families(table, [2])[2]} == {3, 4, 5, 6}
    assert families(table, [77]) == {77: []}


def test_what_bears_the_mark_of_a_dead_worker_is_left_by_it_with_its_descendants():
    """Each once, though each of a family may bear it; other marks tell nothing."""
    processes = [process(8), process(9, parent=8), process(10, parent=9), process(11), process(12)]
    marks = {8: {'3:1'}, 9: {'3:1'}, 11: {'4:1', '5:1'}, 12: {'5:1'}}
    found = left_by(['3:1', '4:1', '6:1'], processes, marks, [])
    assert {mark: [each.pid for each in family] for mark, family in found.items()} == {
        '3:1': [8, 9, 10],
        '4:1': [11],
    }


def test_what_is_spared_is_left_by_nobody():
    processes = [process(8), process(9, parent=8), process(10, parent=9)]
    found = left_by(['3:1'], processes, {8: {'3:1'}, 9: {'3:1'}}, [9, 10])
    assert [each.pid for each in found['3:1']] == [8]
    assert left_by(['3:1'], processes, {8: {'3:1'}}, [8, 9, 10]) == {}
