# SPDX-License-Identifier: Apache-2.0
"""After which hold-ups a process needs a new participant, and when."""

from __future__ import annotations

import pytest

from worker_pipeline.core.absence import MARGIN, READING, Absence
from worker_pipeline.core.hold_up import NONE, HoldUp

LEASE = 5.0
PERIOD = 0.05


def due_after(hold_up, *, cpu_time=0.0, is_reachable=False):
    """Return when it is due, s after the hold-up: every time within a minute."""
    absence = Absence(LEASE, is_reachable=is_reachable)
    absence.tick(NONE, 3.0, 99.0)
    found = [0.0] if absence.tick(hold_up, 3.0 + cpu_time, 100.0) else []
    return found + [
        turn * PERIOD
        for turn in range(1, 1200)
        if absence.tick(NONE, 3.0 + cpu_time + turn, 100.0 + turn * PERIOD)
    ]


@pytest.mark.parametrize('seconds', [LEASE - MARGIN, LEASE, 3600.0])
def test_it_is_due_once_when_what_came_meanwhile_is_read(seconds):
    assert due_after(HoldUp(seconds)) == [pytest.approx(READING)]


@pytest.mark.parametrize('seconds', [0.0, 1.0, LEASE - MARGIN - 0.01])
def test_after_a_shorter_hold_up_nobody_has_forgotten_it(seconds):
    assert due_after(HoldUp(seconds)) == []


def test_an_executor_that_was_busy_is_no_absence():
    """DDS has threads of its own, which have announced the process all the time."""
    assert due_after(HoldUp(12.0), cpu_time=11.0) == []
    assert due_after(HoldUp(12.0), cpu_time=0.3) == [pytest.approx(READING)]


def test_of_a_suspended_machine_only_others_know():
    """The clocks of all its processes have stood still."""
    assert due_after(HoldUp(0.0, 3600.0)) == []
    assert due_after(HoldUp(0.0, 3600.0), is_reachable=True) == [pytest.approx(READING)]


def test_another_absence_begins_anew():
    absence = Absence(LEASE, is_reachable=False)
    assert not absence.tick(NONE, 0.0, 99.0)
    assert not absence.tick(HoldUp(12.0), 0.0, 100.0)
    assert not absence.tick(HoldUp(12.0), 0.0, 100.0 + READING)
    assert absence.tick(NONE, 0.0, 100.0 + 2 * READING)
    assert not absence.tick(HoldUp(12.0), 0.0, 200.0)
    assert absence.tick(NONE, 0.0, 200.0 + READING)


def test_a_slow_start_is_no_absence():
    """Else one manager after the other would hand over on a machine that is slow enough."""
    absence = Absence(LEASE, is_reachable=False)
    assert not absence.tick(HoldUp(12.0), 0.1, 100.0)
    assert not absence.tick(NONE, 0.1, 100.0 + 2 * READING)
