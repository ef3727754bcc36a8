"""What is read of a serialised message, and what is put behind it."""

from __future__ import annotations

import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from nav_msgs.msg import Odometry
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image, TimeReference
from std_msgs.msg import Header

from worker_pipeline.runtime.cdr import (
    BadMessageError,
    number_of,
    sealed,
    split_stamp,
    stamp_of,
    unsealed,
)

SECOND = 1_000_000_000
LITTLE, BIG = b'\x00\x01\x00\x00', b'\x00\x00\x00\x00'
INT32_MAX = 2**31 - 1
NUMBERS = st.integers(0, 2**64 - 1)


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
    """Sealed or not."""
    data = serialize_message(message(kind, 'camera'))
    assert stamp_of(data) == stamp_of(sealed(data, 7)) == 12 * SECOND + 345


@given(data=st.binary(max_size=70), number=NUMBERS)
def test_what_was_sealed_is_got_back_with_its_number(data: bytes, number: int):
    """Whatever it is, and however long."""
    closed = sealed(data, number)
    assert number_of(closed) == number
    assert unsealed(closed) == data
    assert closed.startswith(data)


@pytest.mark.parametrize('length', [*range(20), 65_535, 65_536, 1_000_001])
def test_a_sealed_message_needs_no_padding_from_rtps(length: int):
    """Its length is a multiple of four, so that the number stays at the very end."""
    closed = sealed(bytes(length), 2**63 | 5)
    assert len(closed) % 4 == 0
    assert (number_of(closed), unsealed(closed)) == (2**63 | 5, bytes(length))


def test_a_seal_may_be_sealed_again():
    """Only the last one is looked at."""
    twice = sealed(sealed(b'abcde', 1), 2)
    assert number_of(twice) == 2
    assert number_of(unsealed(twice)) == 1


@given(data=st.binary(max_size=70))
def test_what_has_no_seal_has_no_number(data: bytes):
    """The mark is not among bytes that come by chance."""
    with pytest.raises(BadMessageError, match=f'found {len(data)} bytes without a number'):
        number_of(data)


@given(data=st.binary(max_size=20), number=NUMBERS, cut=st.integers(1, 16))
def test_a_seal_that_is_cut_or_followed_by_something_is_none(data: bytes, number: int, cut: int):
    """Rather than a number made of something else."""
    for other in (sealed(data, number)[:-cut], sealed(data, 0) + bytes(cut)):
        with pytest.raises(BadMessageError):
            number_of(other)


@pytest.mark.parametrize('kind', [Header, Image, Odometry, TimeReference])
@pytest.mark.parametrize('text', ['', 'c', 'ca', 'cam', 'came', 'camera/front'])
def test_a_sealed_message_is_read_like_the_plain_one(kind: type, text: str):
    """By everybody who knows nothing of seals."""
    plain = message(kind, text)
    if kind is Image:
        plain.data = bytes(range(len(text)))
    data = serialize_message(plain)
    assert deserialize_message(sealed(data, 2**64 - 1), kind) == plain
    assert deserialize_message(unsealed(sealed(data, 3)), kind) == plain
