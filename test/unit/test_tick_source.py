"""What a source is asked for, and when."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import TimeReference

from worker_pipeline.core.item import TICK
from worker_pipeline.nodes.source import TickSource, tick_at
from worker_pipeline.runtime.cdr import split_stamp

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
    assert source.next(7) == (7, tick_at(7, 2))
    assert source.next(8) is None
    source.come_due()
    source.come_due()  # nobody could take one: it is not made up for
    assert source.next(9) == (9, tick_at(9, 4))
    assert source.next(10) is None


def test_no_two_have_one_stamp_whatever_the_clock_does():
    source = TickSource(0.0)
    source.begin(100)
    stamps = [source.next(now)[0] for now in (100, 100, 50, 101, 200)]
    assert stamps == [100, 101, 102, 103, 200]
    later = TickSource(0.0)
    later.restore(source.snapshot())
    assert later.next(150)[0] == 201


def test_where_ros_time_is_set_back_the_time_from_before_goes_on():
    """By the steady clock; for another manager too."""
    source = TickSource(0.0)
    source.begin(HOUR)
    assert source.next(HOUR + 10 * SECOND, 5 * SECOND) == (
        HOUR + 10 * SECOND,
        tick_at(HOUR + 10 * SECOND, 10 * SECOND),
    )
    assert source.next(SECOND, 6 * SECOND)[0] == HOUR + 11 * SECOND
    later = TickSource(0.0)
    later.restore(source.snapshot())
    assert later.next(2 * SECOND, 7 * SECOND)[0] == HOUR + 12 * SECOND
    # It has caught up, and more.
    assert later.next(2 * HOUR, 8 * SECOND)[0] == 2 * HOUR


def test_where_ros_time_is_simulated_it_waits():
    source = TickSource(0.0)
    source.begin(100)
    assert [source.next(now)[0] for now in (SECOND, 5, 5)] == [SECOND, SECOND + 1, SECOND + 2]


def test_after_its_end_there_is_none():
    source = TickSource(0.0)
    source.begin(1)
    source.exhausted = True
    assert source.next(2) is None
