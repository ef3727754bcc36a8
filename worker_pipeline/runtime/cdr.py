"""What the manager reads of a serialised message, and what it adds on the way to a worker.

A ROS message travels as CDR (OMG DDS-RTPS, 10.2): four bytes of encapsulation, the second of which
is odd for little endian, then the fields in order. Where the first field is a ``std_msgs/Header``
the stamp's seconds (int32) and nanoseconds (uint32) follow at once.

Between a stage and its worker a message is *sealed*: behind its last field, where no reader of the
message looks, stands the item's number. ``ros2 topic echo`` shows a sealed message like any other.
"""

from __future__ import annotations

import struct

from worker_pipeline.context import NANOSECONDS

_LITTLE = struct.Struct('<iI')
_BIG = struct.Struct('>iI')
# A mark, how many bytes of padding are before it, and the number.
_SEAL = struct.Struct('<4sIQ')
_MARK = b'\xc5wp\x01'
# RTPS pads what it sends to a multiple of four; a sealed message has that length already, so that
# the seal is found at its very end.
_PADDING = tuple(bytes(-length % 4) for length in range(4))


class BadMessageError(ValueError):
    """Bytes that cannot be a serialised message that begins with a header, or its stamp is none."""


def stamp_of(message: bytes) -> int:
    """The stamp of a serialised message in nanoseconds; BadMessageError where there is none."""
    if len(message) < 12:
        raise BadMessageError(
            f'found {len(message)} bytes; allowed: 12 or more, a message that begins with a header'
        )
    seconds, nanoseconds = (_LITTLE if message[1] & 1 else _BIG).unpack_from(message, 4)
    if seconds < 0 or nanoseconds >= NANOSECONDS or not (seconds or nanoseconds):
        raise BadMessageError(
            f'header.stamp: found {seconds} s and {nanoseconds} ns; allowed: a time after 0'
        )
    return int(seconds * NANOSECONDS + nanoseconds)


def split_stamp(stamp: int) -> tuple[int, int]:
    """Nanoseconds as the (sec, nanosec) of a ``builtin_interfaces/Time``."""
    return divmod(stamp, NANOSECONDS)


def sealed(message: bytes, number: int) -> bytes:
    """The message with a number (64 bits) behind it."""
    padding = _PADDING[len(message) % 4]
    return b''.join((message, padding, _SEAL.pack(_MARK, len(padding), number)))


def number_of(message: bytes) -> int:
    """The number of a sealed message; BadMessageError where there is no seal."""
    if len(message) >= _SEAL.size:
        mark, _, number = _SEAL.unpack_from(message, len(message) - _SEAL.size)
        if mark == _MARK:
            return int(number)
    raise BadMessageError(f'found {len(message)} bytes without a number behind them')


def unsealed(message: bytes) -> bytes:
    """What was sealed."""
    _, padding, _ = _SEAL.unpack_from(message, len(message) - _SEAL.size)
    return message[: len(message) - _SEAL.size - padding]
