"""A large message as it travels among the processes of one machine: small, and where its bytes are.

Camera frames and the like have one field with nearly all of their bytes: ``data``. Its producer
writes that once into shared memory (``frame_blocks``); what goes by lines, ledgers and the journal
is the rest of the message, serialised with ``data`` empty, and the name of the frame.

The form: ``MAGIC``, which no serialised message begins with (its second byte tells the encoding, 0
to 11), then the fields of ``_HEAD``, the block's name, and the rest of the message.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

# Less than this costs less to send than to speak of, bytes.
LEAST = 64 * 1024
MAGIC = b'\xffwpf'
_HEAD = struct.Struct('<4sQQIH')  # magic, frame, size, position of the length, length of the name
_LENGTH = struct.Struct('<I')
# What may follow the bytes without being moved by how many they are.
_ALIGNED_ANYWHERE = {'boolean', 'octet', 'uint8', 'int8', 'char'}
FIELD, FIELD_TYPE = 'data', 'sequence<uint8>'


class Reference(NamedTuple):
    """What a reference says."""

    frame: int  # its number, which no other frame of the same producer has
    size: int  # bytes
    position: int  # in ``rest``, of the length of ``data``
    block: str  # the name of the file
    rest: bytes  # the serialised message with ``data`` empty

    @property
    def producer(self) -> int:
        """The pid of whoever made it, with which the block's name begins."""
        return int(self.block.partition('.')[0])


class Referring(bytes):
    """A payload whose reference is known: it was made of it, or has been decoded once."""

    reference: Reference


def is_reference(payload: bytes) -> bool:
    """Whether a payload is a reference rather than a serialised message."""
    return payload[:4] == MAGIC


def encode(reference: Reference) -> bytes:
    """A reference as a payload."""
    name = reference.block.encode()
    head = _HEAD.pack(MAGIC, reference.frame, reference.size, reference.position, len(name))
    payload = Referring(head + name + reference.rest)
    payload.reference = reference
    return payload


def decode(payload: bytes) -> Reference:
    """The reference that a payload is."""
    if isinstance(payload, Referring):
        return payload.reference
    _, frame, size, position, length = _HEAD.unpack_from(payload)
    name = payload[_HEAD.size : _HEAD.size + length]
    return Reference(frame, size, position, name.decode(), payload[_HEAD.size + length :])


def rest_of(payload: bytes) -> bytes:
    """The serialised message that a payload is, of a reference without its ``data``."""
    return decode(payload).rest if is_reference(payload) else payload


def bytes_after(message_type: Any) -> int | None:
    """How many bytes of a serialised message follow its ``data``; None where it has none.

    Or none that can be taken out: what follows has to be of single bytes, one for each field, as
    in ``sensor_msgs`` ``Image``, ``CompressedImage`` and ``PointCloud2``.
    """
    types = message_type.get_fields_and_field_types()
    if types.get(FIELD) != FIELD_TYPE:
        return None
    following = list(types.values())[list(types).index(FIELD) + 1 :]
    return len(following) if _ALIGNED_ANYWHERE.issuperset(following) else None


def whole(reference: Reference, data: Any) -> bytes:
    """The serialised message with its ``data``, of ``reference.size`` bytes, in its place."""
    rest, at = reference.rest, reference.position
    return b''.join((rest[:at], _LENGTH.pack(reference.size), data, rest[at + _LENGTH.size :]))
