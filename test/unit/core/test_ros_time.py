# SPDX-License-Identifier: Apache-2.0
"""ROS time of the system, and as /clock shows it: late, from 0, paused, looped, stopped."""

from __future__ import annotations

from worker_pipeline.core.ros_time import SILENCE, TOLERANCE, ClockState, RosTime

SECOND = 10**9


def simulated() -> RosTime:
    return RosTime(is_simulated=True, now=0.0)


def test_the_systems_time_is_always_known():
    time = RosTime(is_simulated=False, now=0.0)
    assert time.is_known
    assert time.state(1000.0) is ClockState.SYSTEM
    assert time.problem(1000.0) == ''


def test_a_clock_that_comes_late_is_waited_for():
    time = simulated()
    assert not time.is_known
    assert time.state(0.1) is ClockState.WAITING
    assert time.problem(7.0) == 'waiting for /clock: use_sim_time is true, and no time for 7 s'
    update = time.clock_received(5 * SECOND, 8.0)
    assert (update.started, update.advanced, update.set_back_from) == (True, True, None)
    assert time.is_known
    assert time.state(8.0) is ClockState.RUNNING
    assert time.problem(8.0) == ''


def test_a_clock_may_start_from_0():
    time = simulated()
    assert time.clock_received(0, 1.0).started
    assert time.is_known
    assert time.time == 0
    assert time.clock_received(SECOND, 2.0) == (False, True, None)


def test_a_clock_that_shows_one_time_is_paused():
    time = simulated()
    for now in range(10):
        update = time.clock_received(5 * SECOND, float(now))
    assert not update.advanced
    assert time.state(9.0) is ClockState.PAUSED
    assert time.problem(9.0) == ''
    assert time.clock_received(6 * SECOND, 10.0).advanced
    assert time.state(10.0) is ClockState.RUNNING


def test_a_clock_that_stops_is_waited_for():
    time = simulated()
    time.clock_received(5 * SECOND, 1.0)
    assert time.problem(1.0 + SILENCE) == ''
    assert time.problem(2.0 + SILENCE).startswith('waiting for /clock')
    assert time.clock_received(6 * SECOND, 20.0) == (False, True, None)
    assert time.problem(20.0) == ''


def test_a_clock_that_is_set_back_says_from_where():
    time = simulated()
    time.clock_received(60 * SECOND, 1.0)
    assert time.clock_received(SECOND, 1.1) == (False, True, 60 * SECOND)
    assert time.time == SECOND


def test_messages_that_overtake_each_other_set_nothing_back():
    time = simulated()
    time.clock_received(60 * SECOND, 1.0)
    assert time.clock_received(60 * SECOND - TOLERANCE, 1.1) == (False, False, None)
    assert time.time == 60 * SECOND


def test_a_later_manager_notices_that_time_was_set_back_meanwhile():
    time = simulated()
    time.resume(60 * SECOND)
    assert not time.is_known
    assert time.clock_received(SECOND, 1.0) == (True, True, 60 * SECOND)


def test_the_source_of_time_can_change():
    time = simulated()
    time.clock_received(SECOND, 1.0)
    time.set_simulated(2.0, is_simulated=False)
    assert time.is_known
    time.set_simulated(3.0, is_simulated=True)
    assert not time.is_known
    assert time.clock_received(1, 4.0) == (True, True, None)
