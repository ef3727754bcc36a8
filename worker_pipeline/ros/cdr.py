# SPDX-License-Identifier: Apache-2.0
"""Reads and replaces the stamp of a serialised message, all that the manager reads of one.

ROS messages are serialised as CDR (OMG DDS-RTPS, 10.2): four bytes of encapsulation, the first of
which is 0 and the second odd for little endian, then the fields in order. Anybody may publish
other bytes, also those that begin like a reference to a frame of ours. If the first field is a
``std_msgs/Header``, it begins with the stamp's seconds (int32) and nanoseconds (uint32).
"""

from __future__ import annotations

import struct

from worker_pipeline.context import NANOSECONDS

_LITTLE = struct.Struct('<iI')
_BIG = struct.Struct('>iI')
_STAMP = slice(4, 12)  # where the stamp is
_MAX_SECONDS = 2**31


class BadMessageError(ValueError):
    """Bytes that are no serialised message with a header, or one without a valid stamp."""


class NoStampError(BadMessageError):
    """A message whose stamp is zero: its publisher has set none."""


def stamp_of(message: bytes, *, zero_is_valid: bool = False) -> int:
    """Return the stamp of a serialised message, ns. Raises BadMessageError.

    Args:
        message: the message.
        zero_is_valid: whether a stamp of zero is returned; otherwise it is a NoStampError.
    """
    if len(message) < 12:
        raise BadMessageError(
            f'found {len(message)} bytes; allowed: 12 or more, a message that begins with a header'
        )
    if message[0]:
        raise BadMessageError(
            f'found an encapsulation that begins with {message[0]:#04x}; allowed: 0x00, as in CDR'
        )
    seconds, nanoseconds = _order(message).unpack_from(message, _STAMP.start)
    is_zero = not (seconds or nanoseconds)
    if seconds < 0 or nanoseconds >= NANOSECONDS or (is_zero and not zero_is_valid):
        raise (NoStampError if is_zero else BadMessageError)(
            f'header.stamp: found {seconds} s and {nanoseconds} ns; allowed: a time after 0'
        )
    return int(seconds * NANOSECONDS + nanoseconds)


def with_stamp(message: bytes, stamp: int) -> bytes:
    """Return a copy of a serialised message with another stamp, ns.

    Raises BadMessageError if the stamp cannot be that of a message: 0 or before, or after 2038.
    """
    seconds, nanoseconds = split_stamp(stamp)
    if stamp <= 0 or seconds >= _MAX_SECONDS:
        raise BadMessageError(
            f'header.stamp: found {stamp / NANOSECONDS:.9g} s after its correction; '
            'allowed: a time after 0 and before 2038'
        )
    changed = _order(message).pack(seconds, nanoseconds)
    # Joined, a large message is copied once.
    return b''.join((message[: _STAMP.start], changed, memoryview(message)[_STAMP.stop :]))


def _order(message: bytes) -> struct.Struct:
    return _LITTLE if message[1] & 1 else _BIG


def split_stamp(stamp: int) -> tuple[int, int]:
    """Return nanoseconds as the (sec, nanosec) of a ``builtin_interfaces/Time``."""
    return divmod(stamp, NANOSECONDS)
