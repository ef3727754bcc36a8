# SPDX-License-Identifier: Apache-2.0
"""References: small messages sent instead of a large one between processes of one machine.

Camera frames and similar messages have nearly all of their bytes in one field, ``data``. The
producer writes that field into shared memory once. Channels, ledgers and the journal carry only a
reference: the serialised message with ``data`` empty, and the block and number of the frame.

The form: ``MAGIC``, which no serialised message begins with (its second byte is the encoding, 0 to
11), then the fields of ``_HEADER``, the name of the block, and the stripped message.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple, NewType

# Smaller data is cheaper to send than to share, bytes.
MIN_FRAME_BYTES = 64 * 1024
MAGIC = b'\xffwpf'
MAX_BLOCK_NAME = 40  # bytes
# Magic, frame, size, offset of the length, length of the block's name.
_HEADER = struct.Struct('<4sQQIH')
_LENGTH = struct.Struct('<I')
# Types that CDR does not align: they may follow data of any length.
_UNALIGNED = {'boolean', 'octet', 'uint8', 'int8', 'char'}
# A frame's number, unique among its producer's. Not to be confused with sizes and pids.
FrameNumber = NewType('FrameNumber', int)
FIELD, FIELD_TYPE = 'data', 'sequence<uint8>'


class BadReferenceError(ValueError):
    """Bytes that begin like a reference, and are none."""


class Reference(NamedTuple):
    """The content of a reference."""

    frame: FrameNumber
    size: int  # of the data, bytes
    length_offset: int  # of the length of ``data`` in ``stripped``, bytes
    block: str  # the name of the block's file
    stripped: bytes  # the serialised message with ``data`` empty

    @property
    def producer(self) -> int:
        """Return the pid of the process that made the frame, with which the block's name begins."""
        return int(self.block.partition('.')[0])


class ReferencePayload(bytes):
    """A payload with a known reference, so that it need not be decoded again."""

    reference: Reference


def is_reference(payload: bytes) -> bool:
    """Return whether a payload is a reference rather than a serialised message."""
    return payload[:4] == MAGIC


def encode(reference: Reference) -> bytes:
    """Return a reference as a payload."""
    name = reference.block.encode()
    header = _HEADER.pack(
        MAGIC, reference.frame, reference.size, reference.length_offset, len(name)
    )
    payload = ReferencePayload(header + name + reference.stripped)
    payload.reference = reference
    return payload


def decode(payload: bytes) -> Reference:
    """Return the reference in a payload. Raises BadReferenceError.

    The block's name becomes a path, at which files are written and removed: it has to be that of a
    block, a pid and a number.
    """
    if isinstance(payload, ReferencePayload):
        return payload.reference
    if len(payload) < _HEADER.size:
        raise BadReferenceError(f'found a reference of {len(payload)} bytes; allowed: more')
    _, frame, size, length_offset, length = _HEADER.unpack_from(payload)
    name = payload[_HEADER.size : _HEADER.size + length]
    producer, dot, number = name.partition(b'.')
    # Of bytes, these are the digits 0 to 9.
    if not (producer.isdigit() and dot and number.isdigit() and len(name) < MAX_BLOCK_NAME):
        raise BadReferenceError(
            f'found a reference to the block {name[:40]!r}; allowed: a pid, a dot and a number'
        )
    stripped = payload[_HEADER.size + length :]
    if length_offset + _LENGTH.size > len(stripped):
        raise BadReferenceError(
            f'found a reference with its length at {length_offset}; allowed: within the '
            f'{len(stripped)} bytes of its message'
        )
    return Reference(frame, size, length_offset, name.decode(), stripped)


def stripped_message(payload: bytes) -> bytes:
    """Return the serialised message in a payload; for a reference without its ``data``."""
    return decode(payload).stripped if is_reference(payload) else payload


def bytes_after_data(message_type: Any) -> int | None:
    """Return how many bytes of a serialised message follow its ``data``.

    None for types that cannot be shared: those without a field ``data`` of bytes, and those
    with fields after it that are not single bytes. ``sensor_msgs`` ``Image``, ``CompressedImage``
    and ``PointCloud2`` can be shared.
    """
    types = message_type.get_fields_and_field_types()
    if types.get(FIELD) != FIELD_TYPE:
        return None
    following = list(types.values())[list(types).index(FIELD) + 1 :]
    return len(following) if _UNALIGNED.issuperset(following) else None


def insert_data(reference: Reference, data: Any) -> bytes:
    """Return the whole serialised message, with ``data`` of ``reference.size`` bytes."""
    stripped, at = reference.stripped, reference.length_offset
    return b''.join(
        (stripped[:at], _LENGTH.pack(reference.size), data, stripped[at + _LENGTH.size :])
    )
