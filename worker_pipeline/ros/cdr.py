# SPDX-License-Identifier: Apache-2.0
"""Reads the stamp of a serialised message, all that the manager reads of one.

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


class BadMessageError(ValueError):
    """Bytes that are no serialised message with a header, or one without a valid stamp."""


def stamp_of(message: bytes) -> int:
    """Return the stamp of a serialised message, ns. Raises BadMessageError."""
    if len(message) < 12:
        raise BadMessageError(
            f'found {len(message)} bytes; allowed: 12 or more, a message that begins with a header'
        )
    if message[0]:
        raise BadMessageError(
            f'found an encapsulation that begins with {message[0]:#04x}; allowed: 0x00, as in CDR'
        )
    seconds, nanoseconds = (_LITTLE if message[1] & 1 else _BIG).unpack_from(message, 4)
    if seconds < 0 or nanoseconds >= NANOSECONDS or not (seconds or nanoseconds):
        raise BadMessageError(
            f'header.stamp: found {seconds} s and {nanoseconds} ns; allowed: a time after 0'
        )
    return int(seconds * NANOSECONDS + nanoseconds)


def split_stamp(stamp: int) -> tuple[int, int]:
    """Return nanoseconds as the (sec, nanosec) of a ``builtin_interfaces/Time``."""
    return divmod(stamp, NANOSECONDS)
