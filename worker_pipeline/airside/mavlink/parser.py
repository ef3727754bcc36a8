"""Messages out of a stream of bytes, in which anything may stand between them.

pymavlink checks and decodes a frame. Where it begins is found here: of a frame that is none only
the first byte is given up, so that what looked like a beginning swallows no message after it.
"""

from __future__ import annotations

from typing import Any

_VERSION_1, _VERSION_2 = 0xFE, 0xFD
# Bytes of a frame besides its payload: header and checksum; a signature comes on top.
_AROUND_1, _AROUND_2, _SIGNATURE = 8, 12, 13
_SIGNED = 0x01


class MessageParser:
    """Feed it bytes; it gives the messages that are complete.

    ``bad_bytes``: what was part of no message. ``bad_frames``: what looked like one and was none.
    ``unknown``: frames of messages that the common dialect does not have.
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
        """The messages that end in ``data``."""
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
                break  # the rest is still to come
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

    def forget(self) -> None:
        """Another stream begins."""
        self.bad_bytes += len(self._pending)
        self._pending.clear()

    def _decoded(self, frame: bytearray) -> Any:
        if frame[0] == _VERSION_2 and frame[2] & ~_SIGNED:
            return None  # it asks for what nobody here can do
        try:
            return self._mavlink.decode(frame)
        except self._no_message:
            return None


def _length(data: bytearray, at: int) -> int | None:
    """How long the frame that begins ``at`` is; None as long as that is not known."""
    if data[at] == _VERSION_1:
        return data[at + 1] + _AROUND_1 if len(data) > at + 1 else None
    if len(data) <= at + 2:
        return None
    return data[at + 1] + _AROUND_2 + (_SIGNATURE if data[at + 2] & _SIGNED else 0)


def _ends(data: bytearray, at: int, length: int) -> bool:
    """Whether a frame whose checksum cannot be told ends where the next one begins."""
    end = at + length
    return end == len(data) or data[end] in (_VERSION_1, _VERSION_2)
