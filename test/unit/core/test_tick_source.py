# SPDX-License-Identifier: Apache-2.0
"""The requests to a source, and their times."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import TimeReference

from worker_pipeline.core.item import TICK
from worker_pipeline.core.tick_source import TickSource
from worker_pipeline.ros.cdr import split_stamp
from worker_pipeline.ros.tick import tick_at

SECOND, HOUR = 10**9, 3600 * 10**9
LATEST = 2**31 * 10**9 - 1


@given(st.integers(0, LATEST), st.integers(0, LATEST))
def test_a_tick_is_the_message_that_rclpy_would_make_of_it(stamp, since):
    expected = TimeReference(source=TICK)
    expected.header.stamp.sec, expected.header.stamp.nanosec = split_stamp(stamp)
    expected.time_ref.sec, expected.time_ref.nanosec = split_stamp(since)
    assert tick_at(stamp, since) == bytes(serialize_message(expected))
    assert deserialize_message(tick_at(stamp, since), TimeReference) == expected


def test_one_is_due_when_a_period_is_over():
    source = TickSource(0.5)
    source.come_due()
    assert source.next(7) is None  # the stream has not begun
    source.begin(5)
    assert source.next(7) == (7, 2)
    assert source.next(8) is None
    source.come_due()
    source.come_due()  # nobody could take one: it is not made up for
    assert source.next(9) == (9, 4)
    assert source.next(10) is None


def test_no_two_have_one_stamp_whatever_the_clock_does():
    source = TickSource(0.0)
    source.begin(100)
    stamps = [source.next(now)[0] for now in (100, 100, 50, 101, 200)]
    assert stamps == [100, 101, 102, 103, 200]
    later = TickSource(0.0)
    later.restore(source.snapshot())
    assert later.next(150)[0] == 201


@pytest.mark.slow
def test_where_ros_time_is_set_back_the_time_from_before_goes_on():
    """By the steady clock; for another manager too."""
    source = TickSource(0.0)
    source.begin(HOUR)
    assert source.next(HOUR + 10 * SECOND, 5 * SECOND) == (
        HOUR + 10 * SECOND,
        10 * SECOND,
    )
    assert source.next(SECOND, 6 * SECOND)[0] == HOUR + 11 * SECOND
    later = TickSource(0.0)
    later.restore(source.snapshot())
    assert later.next(2 * SECOND, 7 * SECOND)[0] == HOUR + 12 * SECOND
    # It has caught up, and more.
    assert later.next(2 * HOUR, 8 * SECOND)[0] == 2 * HOUR


def test_without_a_steady_clock_stamps_are_a_nanosecond_apart():
    source = TickSource(0.0)
    source.begin(100)
    assert [source.next(now)[0] for now in (SECOND, 5, 5)] == [SECOND, SECOND + 1, SECOND + 2]


def test_under_a_later_manager_one_is_due_at_once():
    """How much of the period had passed under the earlier one is not known."""
    source = TickSource(10.0)
    source.begin(5)
    source.next(7)
    later = TickSource(10.0)
    later.restore(source.snapshot())
    assert later.next(9) == (9, 4)
    assert later.next(10) is None


def test_the_time_since_the_beginning_is_never_negative():
    """Though simulated time may be set back to before it."""
    source = TickSource(0.0)
    source.begin(100)
    assert source.next(50) == (50, 0)


def test_after_its_end_there_is_none():
    source = TickSource(0.0)
    source.begin(1)
    source.exhausted = True
    assert source.next(2) is None


# -- simulated time ------------------------------------------------------------------------------


def simulated(period: float, epoch: int = 0) -> TickSource:
    source = TickSource(period)
    source.is_simulated = True
    source.begin(epoch)
    return source


def stamps(source: TickSource, *times: int) -> list[int]:
    """Return the stamps of the ticks while simulated time shows these times."""
    found = []
    for now in times:
        source.advance(now)
        tick = source.next(now)
        if tick is not None:
            found.append(tick[0])
    return found


def test_a_stream_may_start_at_0():
    """A stamp of 0 would mean that there is none, so the first tick comes a little later."""
    source = simulated(0.5)
    assert source.next(0) is None
    source.advance(SECOND // 2)
    assert source.next(SECOND // 2) == (SECOND // 2, SECOND // 2)


def test_the_period_is_one_of_simulated_time():
    source = simulated(0.5, 10 * SECOND)
    tenths = range(100, 120)
    assert stamps(source, *(each * SECOND // 10 for each in tenths)) == [
        each * SECOND // 10 for each in (100, 105, 110, 115)
    ]


def test_a_clock_with_long_steps_gives_one_tick_for_each():
    """Periods that are over are not made up for, and the next is due in step with the first."""
    source = simulated(0.5, SECOND)
    assert stamps(source, *(each * SECOND for each in (1, 3, 9))) == [
        SECOND,
        3 * SECOND,
        9 * SECOND,
    ]
    assert stamps(source, 9 * SECOND + 1, 9 * SECOND + SECOND // 2) == [9 * SECOND + SECOND // 2]


@pytest.mark.parametrize('period', [0.0, 0.001])
def test_while_simulated_time_stands_still_there_is_no_tick(period):
    source = simulated(period, SECOND)
    assert stamps(source, SECOND, SECOND, SECOND, 2 * SECOND, 2 * SECOND) == [SECOND, 2 * SECOND]
    assert source.next(2 * SECOND) is None


def test_a_stream_that_starts_over_has_lower_stamps():
    source = simulated(0.5, 10 * SECOND)
    assert stamps(source, 20 * SECOND) == [20 * SECOND]
    source.reset()
    assert not source.is_due
    assert stamps(source, SECOND) == []
    source.begin(SECOND)
    assert source.next(SECOND) == (SECOND, 0)


def test_a_later_manager_continues_in_simulated_time():
    source = simulated(0.5, SECOND)
    stamps(source, SECOND, 2 * SECOND)
    later = TickSource(0.5)
    later.restore(source.snapshot())
    assert later.is_simulated
    assert later.last == 2 * SECOND
    assert stamps(later, 2 * SECOND, 3 * SECOND) == [3 * SECOND]
