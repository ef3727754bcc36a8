"""Deserialises messages that differ in their stamp alone, as those of one camera do.

What ``deserialize_message`` does for a small message takes 10 us where it is done all the time, and
150 us where a process has slept since the last one: it goes through three libraries, and all of
that has to come into the processor's cache again. To copy the message before takes a quarter; and
that can be done before the next one comes.
"""

from __future__ import annotations

import array
import copy
import struct
from typing import Any

import numpy as np
from rclpy.serialization import deserialize_message

# The stamp of a header, behind what tells the encoding.
_STAMP = slice(4, 12)
_FORMATS = {0: struct.Struct('>iI'), 1: struct.Struct('<iI')}


class MessageTemplate:
    """The last message but for its stamp. Of one type, which begins with a header."""

    def __init__(self, message_type: Any) -> None:
        self._type = message_type
        self._before = b''
        self._message: Any = None
        self._copy: Any = None  # for the next one

    def deserialize(self, data: bytes) -> Any:
        """A message of its own. Raises what ``deserialize_message`` does."""
        before = self._before
        if data[_STAMP.stop :] != before[_STAMP.stop :] or data[:4] != before[:4]:
            self._message = deserialize_message(data, self._type)
            self._before = data
            self._copy = None
            return copy_of(self._message)
        self.prepare()
        message, self._copy = self._copy, None
        stamp = message.header.stamp
        stamp._sec, stamp._nanosec = _FORMATS[data[1] & 1].unpack(data[_STAMP])
        return message

    def prepare(self) -> None:
        """Do what can be done before the next one is there."""
        if self._message is not None and self._copy is None:
            self._copy = copy_of(self._message)


def copy_of(value: Any) -> Any:
    """A message, or what a field of one holds, copied with all that is in it.

    Ten times as fast as ``copy.deepcopy``.
    """
    kind: Any = type(value)
    if kind is list:
        return [copy_of(each) for each in value]
    if kind is array.array or kind is np.ndarray:
        return copy.copy(value)
    if not hasattr(kind, 'get_fields_and_field_types'):
        return value  # is not to be changed
    made = kind.__new__(kind)
    for name in kind.__slots__:
        setattr(made, name, copy_of(getattr(value, name)))
    return made
