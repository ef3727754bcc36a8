# SPDX-License-Identifier: Apache-2.0
"""Packets with file descriptors, over Unix-domain sockets; never waiting.

``socket.send_fds`` and ``recv_fds`` ignore the flags that they are given (Python 3.11).
"""

from __future__ import annotations

import array
import socket
from collections.abc import Sequence


def send_packet(connection: socket.socket, data: bytes, descriptors: Sequence[int] = ()) -> None:
    """Send a packet and file descriptors. Raises OSError; BlockingIOError if there is no room."""
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', descriptors))]
    flags = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL
    connection.sendmsg([data], rights if descriptors else [], flags)


def receive_packet(connection: socket.socket, size: int, count: int) -> tuple[bytes, list[int]]:
    """Return the next packet, b'' at the end, and the file descriptors beside it.

    These are closed by programs that this process starts. Where no more files can be opened, the
    kernel passes fewer.

    Args:
        connection: The socket.
        size: The longest packet, bytes.
        count: The most descriptors.

    Raises:
        BlockingIOError: There is no packet.
        OSError: The connection is broken.
    """
    found = array.array('i')
    flags = socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC
    data, rights, _, _ = connection.recvmsg(size, socket.CMSG_LEN(count * found.itemsize), flags)
    for level, kind, body in rights:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            found.frombytes(body[: len(body) - len(body) % found.itemsize])
    return data, list(found)
