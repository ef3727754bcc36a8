"""Messages as bytes, where no link is pymavlink's own."""

from __future__ import annotations

from typing import Any


def packed(mavlink: Any, message: Any) -> bytes:
    """A message as ``mavlink``, pymavlink's ``MAVLink`` of the sender, sends it next."""
    data = bytes(message.pack(mavlink))
    mavlink.seq = (mavlink.seq + 1) % 256
    return data
