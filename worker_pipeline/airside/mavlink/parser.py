# SPDX-License-Identifier: Apache-2.0
"""Messages in a stream of bytes that may contain anything between them.

pymavlink checks and decodes a packet. This module finds where it begins: an invalid packet is
skipped by its first byte only, so a false start does not hide the message after it.
"""

from __future__ import annotations

from typing import Any

_VERSION_1, _VERSION_2 = 0xFE, 0xFD
# Bytes of a packet besides its payload: header and checksum; a signature is added to that.
_OVERHEAD_1, _OVERHEAD_2, _SIGNATURE = 8, 12, 13
_SIGNED = 0x01


class MessageParser:
    """An incremental parser of MAVLink messages.

    ``bad_bytes``: bytes outside of any message. ``bad_frames``: invalid packets. ``unknown``:
    packets with messages that the common dialect does not have.
    """

    def __init__(self) -> None:
        from pymavlink.dialects.v20 import common

        self._mavlink = common.MAVLink(None)
        self._no_message = common.MAVError
        self._unknown = common.MAVLink_unknown
        self._pending = bytearray()
        self.bad_bytes = 0
        self.bad_frames = 0
        self.unknown = 0

    def feed(self, data: bytes) -> list[Any]:
        """Add bytes, and return the messages that are now complete."""
        pending = self._pending
        pending += data
        messages = []
        at = 0
        while at < len(pending):
            if pending[at] not in (_VERSION_1, _VERSION_2):
                at += 1
                self.bad_bytes += 1
                continue
            length = _length(pending, at)
            if length is None or at + length > len(pending):
                break  # incomplete so far
            message = self._decoded(pending[at : at + length])
            if message is None or (
                type(message) is self._unknown and not _ends(pending, at, length)
            ):
                at += 1
                self.bad_bytes += 1
                self.bad_frames += 1
                continue
            at += length
            if type(message) is self._unknown:
                self.unknown += 1
            else:
                messages.append(message)
        del pending[:at]
        return messages

    def reset(self) -> None:
        """Drop an incomplete message: another stream begins."""
        self.bad_bytes += len(self._pending)
        self._pending.clear()

    def _decoded(self, frame: bytearray) -> Any:
        if frame[0] == _VERSION_2 and frame[2] & ~_SIGNED:
            return None  # requires a feature that this parser does not have
        try:
            return self._mavlink.decode(frame)
        except self._no_message:
            return None


def _length(data: bytearray, at: int) -> int | None:
    """Return the length of the packet at index ``at``; None if that is not known yet."""
    if data[at] == _VERSION_1:
        return data[at + 1] + _OVERHEAD_1 if len(data) > at + 1 else None
    if len(data) <= at + 2:
        return None
    return data[at + 1] + _OVERHEAD_2 + (_SIGNATURE if data[at + 2] & _SIGNED else 0)


def _ends(data: bytearray, at: int, length: int) -> bool:
    """Return whether a packet that cannot be checked is followed by the start of another."""
    end = at + length
    return end == len(data) or data[end] in (_VERSION_1, _VERSION_2)
