# SPDX-License-Identifier: Apache-2.0
"""Unix-domain sockets: names that one process may have, and who is at the other end."""

from __future__ import annotations

import errno
import socket
import struct
from typing import NamedTuple

_CREDENTIALS = struct.Struct('3i')


class Peer(NamedTuple):
    """The process at the other end, as the kernel knows it (SO_PEERCRED, unix(7))."""

    pid: int  # 0: of a PID namespace that is not seen from here
    user: int
    group: int


def peer_of(connection: socket.socket) -> Peer:
    """Return who is at the other end of a connection. Raises OSError."""
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return Peer(*_CREDENTIALS.unpack(found))


def bind_if_free(unbound: socket.socket, address: str) -> bool:
    """Bind a socket; return whether its name was free. Raises OSError for any other cause."""
    try:
        unbound.bind(address)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        return False
    return True
