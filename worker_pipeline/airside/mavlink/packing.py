# SPDX-License-Identifier: Apache-2.0
"""Serialisation of messages, for links that are not pymavlink's own."""

from __future__ import annotations

from typing import Any


def pack_message(mavlink: Any, message: Any) -> bytes:
    """Return the bytes of the next message. ``mavlink``: the sender's pymavlink ``MAVLink``."""
    data = bytes(message.pack(mavlink))
    mavlink.seq = (mavlink.seq + 1) % 256
    return data
