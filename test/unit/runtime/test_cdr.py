"""What is read of a serialised message."""

from __future__ import annotations

import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from nav_msgs.msg import Odometry
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image, TimeReference
from std_msgs.msg import Header

from worker_pipeline.runtime.cdr import (
    BadMessageError,
    split_stamp,
    stamp_of,
)

SECOND = 1_000_000_000
LITTLE, BIG = b'\x00\x01\x00\x00', b'\x00\x00\x00\x00'
INT32_MAX = 2**31 - 1


def stamped(seconds: int, nanoseconds: int, *, big_endian: bool = False) -> bytes:
    if big_endian:
        return BIG + struct.pack('>iI', seconds, nanoseconds)
    return LITTLE + struct.pack('<iI', seconds, nanoseconds)


def message(kind: type, text: str):
    """A message with something in it, of any length."""
    found = kind()
    header = found if kind is Header else found.header
    header.stamp.sec, header.stamp.nanosec, header.frame_id = 12, 345, text
    return found


@given(
    seconds=st.integers(0, INT32_MAX),
    nanoseconds=st.integers(0, SECOND - 1),
    big_endian=st.booleans(),
    rest=st.binary(max_size=9),
)
@example(seconds=0, nanoseconds=1, big_endian=False, rest=b'')
@example(seconds=INT32_MAX, nanoseconds=SECOND - 1, big_endian=True, rest=b'')
def test_a_stamp_is_read_in_either_byte_order(
    seconds: int, nanoseconds: int, big_endian: bool, rest: bytes
):
    """Whatever follows it; only a stamp of 0 is none."""
    data = stamped(seconds, nanoseconds, big_endian=big_endian) + rest
    if seconds or nanoseconds:
        assert stamp_of(data) == seconds * SECOND + nanoseconds
        assert split_stamp(stamp_of(data)) == (seconds, nanoseconds)
    else:
        with pytest.raises(BadMessageError):
            stamp_of(data)


@pytest.mark.parametrize('big_endian', [False, True])
@pytest.mark.parametrize(
    ('seconds', 'nanoseconds'),
    [(0, 0), (-1, 0), (-1, 5), (-(2**31), 0), (1, SECOND), (0, 2**32 - 1)],
)
def test_a_stamp_that_is_no_time_after_0_is_refused(
    seconds: int, nanoseconds: int, big_endian: bool
):
    """In words that say what was found."""
    with pytest.raises(BadMessageError) as caught:
        stamp_of(stamped(seconds, nanoseconds, big_endian=big_endian))
    assert str(caught.value) == (
        f'header.stamp: found {seconds} s and {nanoseconds} ns; allowed: a time after 0'
    )


@pytest.mark.parametrize('length', range(12))
def test_bytes_too_few_for_a_stamp_are_refused(length: int):
    """They are no message that begins with a header."""
    with pytest.raises(BadMessageError, match=f'found {length} bytes; allowed: 12 or more'):
        stamp_of(stamped(1, 2)[:length])


@pytest.mark.parametrize('kind', [Header, Image, Odometry, TimeReference])
def test_the_stamp_of_what_ros_serialises_is_found(kind: type):
    """It is the first field of the first field."""
    data = bytes(serialize_message(message(kind, 'frame')))
    assert stamp_of(data) == 12 * SECOND + 345
