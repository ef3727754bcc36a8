# SPDX-License-Identifier: Apache-2.0
"""Reading the stamp of a serialised message."""

from __future__ import annotations

import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from nav_msgs.msg import Odometry
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image, TimeReference
from std_msgs.msg import Header

from worker_pipeline.frames.reference import MAGIC
from worker_pipeline.ros.cdr import (
    BadMessageError,
    NoStampError,
    split_stamp,
    stamp_of,
    with_stamp,
)

SECOND = 1_000_000_000
LITTLE, BIG = b'\x00\x01\x00\x00', b'\x00\x00\x00\x00'
INT32_MAX = 2**31 - 1


def stamped(seconds: int, nanoseconds: int, *, big_endian: bool = False) -> bytes:
    if big_endian:
        return BIG + struct.pack('>iI', seconds, nanoseconds)
    return LITTLE + struct.pack('<iI', seconds, nanoseconds)


def message(kind: type, text: str):
    """Return a message with a stamp and a text."""
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
    """With any bytes after it. A stamp of 0 is invalid."""
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
def test_an_invalid_stamp_is_rejected(seconds: int, nanoseconds: int, big_endian: bool):
    """With the value found in the message."""
    with pytest.raises(BadMessageError) as caught:
        stamp_of(stamped(seconds, nanoseconds, big_endian=big_endian))
    assert str(caught.value) == (
        f'header.stamp: found {seconds} s and {nanoseconds} ns; allowed: a time after 0'
    )


@pytest.mark.parametrize('beginning', [MAGIC, b'\1\1\0\0', b'\xff\1\0\0'])
def test_bytes_that_are_not_cdr_are_rejected(beginning: bytes):
    """Such as those of a reference to a frame, which would lead to a file of their choice."""
    with pytest.raises(BadMessageError, match=r'found an encapsulation .*; allowed: 0x00'):
        stamp_of(beginning + struct.pack('<iI', 1, 1) + bytes(40))


@pytest.mark.parametrize('length', range(12))
def test_too_few_bytes_are_rejected(length: int):
    """They cannot be a message with a header."""
    with pytest.raises(BadMessageError, match=f'found {length} bytes; allowed: 12 or more'):
        stamp_of(stamped(1, 2)[:length])


@pytest.mark.parametrize('kind', [Header, Image, Odometry, TimeReference])
def test_the_stamp_of_a_message_serialised_by_ros_is_read(kind: type):
    """It is the first field of the header, the first field of the message."""
    data = bytes(serialize_message(message(kind, 'frame')))
    assert stamp_of(data) == 12 * SECOND + 345


@given(
    stamp=st.integers(1, 2**31 * SECOND - 1),
    big_endian=st.booleans(),
    rest=st.binary(max_size=40),
)
def test_another_stamp_changes_nothing_else(stamp: int, big_endian: bool, rest: bytes):
    """In either byte order."""
    data = stamped(12, 345, big_endian=big_endian) + rest
    changed = with_stamp(data, stamp)
    assert stamp_of(changed) == stamp
    assert with_stamp(changed, stamp_of(data)) == data


@pytest.mark.parametrize('kind', [Header, Image, Odometry, TimeReference])
def test_a_message_with_another_stamp_is_read_by_ros(kind: type):
    """As the same message with that stamp."""
    wanted = message(kind, 'frame')
    data = with_stamp(bytes(serialize_message(wanted)), 77 * SECOND + 8)
    found = deserialize_message(data, kind)
    header = found if kind is Header else found.header
    assert (header.stamp.sec, header.stamp.nanosec, header.frame_id) == (77, 8, 'frame')
    header.stamp.sec, header.stamp.nanosec = 12, 345
    assert found == wanted


@pytest.mark.parametrize('stamp', [0, -1, -(10**30), 2**31 * SECOND, 10**30])
def test_a_stamp_that_no_message_can_have_is_rejected(stamp: int):
    """With the key's effect named."""
    with pytest.raises(BadMessageError, match=r'after its correction; allowed: a time after 0 and'):
        with_stamp(stamped(1, 2), stamp)


def test_a_stamp_of_zero_is_told_apart_from_other_invalid_ones():
    """It can be replaced; the others are of no publisher's making."""
    assert stamp_of(stamped(0, 0), zero_is_valid=True) == 0
    with pytest.raises(NoStampError):
        stamp_of(stamped(0, 0))
    for allowed in (False, True):
        with pytest.raises(BadMessageError) as caught:
            stamp_of(stamped(-1, 0), zero_is_valid=allowed)
        assert not isinstance(caught.value, NoStampError)
