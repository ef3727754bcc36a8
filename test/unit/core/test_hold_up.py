# SPDX-License-Identifier: Apache-2.0
"""A process finds out for how long it has stood still."""

from __future__ import annotations

import pytest

from worker_pipeline.core.hold_up import NONE, HoldUp, HoldUps

PERIOD = 0.05


def test_ticks_on_time_or_a_little_late_are_no_hold_up():
    found = HoldUps(PERIOD, 100.0, 500.0)
    assert found.tick(100.05, 500.05) is NONE
    assert found.tick(100.14, 500.14) is NONE


def test_a_hold_up_is_what_a_tick_is_late():
    found = HoldUps(PERIOD, 100.0, 500.0)
    assert found.tick(112.05, 512.05) == pytest.approx((12.0, 0.0))
    assert found.tick(112.1, 512.1) is NONE, 'told once'


def test_a_suspended_machine_stops_one_clock():
    """The workers' clock stands still too: only the world outside has gone on."""
    found = HoldUps(PERIOD, 100.0, 500.0)
    hold_up = found.tick(100.05, 3600.05 + 500.0)
    assert hold_up == pytest.approx((0.0, 3600.0))
    assert hold_up.total == pytest.approx(3600.0)
    assert found.tick(100.1, 4100.1) is NONE


def test_a_machine_that_is_suspended_while_the_process_is_stopped():
    assert HoldUps(PERIOD, 100.0, 500.0).tick(103.05, 513.05) == pytest.approx((3.0, 10.0))


def test_a_clock_that_is_set_back_is_no_hold_up():
    found = HoldUps(PERIOD, 100.0, 500.0)
    assert found.tick(100.05, 400.05) is NONE
    assert found.tick(100.1, 400.1) is NONE
    assert HoldUp(2.0, 0.0).total == 2.0
