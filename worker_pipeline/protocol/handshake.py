# SPDX-License-Identifier: Apache-2.0
"""The beginning of a connection: who calls, and one small packet in which it says who it is.

Nothing is read from a process of which the kernel does not say that it is a worker, and no more
than one hello before that has been understood.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

from worker_pipeline.protocol.channel import (
    HEADER,
    MAX_HELLO,
    Packet,
    PacketType,
    ProtocolError,
    refusal,
)
from worker_pipeline.system.unix_sockets import Peer

# How long a process may take from its connection to its hello, s.
HELLO_TIMEOUT = 2.0
_LIMITS = {PacketType.HELLO: MAX_HELLO}


def peer_refusal(peer: Peer, is_worker: Callable[[int], bool]) -> str:
    """Return in words why a process may not connect; '' if it may.

    Args:
        peer: The process.
        is_worker: Whether a pid is that of a worker.
    """
    if peer.user != os.getuid():
        return f'found a process of user {peer.user}; allowed: {os.getuid()}, our own'
    if not is_worker(peer.pid):
        return 'found no worker of this pipeline; allowed: its workers'
    return ''


class Handshake:
    """A connection that has not said hello yet.

    Args:
        connection: The socket.
        pid: The process at the other end.
        now: s.
    """

    def __init__(self, connection: socket.socket, pid: int, now: float) -> None:
        self.connection = connection
        self.pid = pid
        self.deadline = now + HELLO_TIMEOUT
        self._received = b''
        self._missing = HEADER.size  # bytes, of the header or of the body

    def receive(self) -> Packet | None:
        """Return the hello when all of it has arrived. Nothing behind it is read.

        Raises ProtocolError if there will be none.
        """
        while True:
            try:
                data = self.connection.recv(self._missing, socket.MSG_DONTWAIT)
            except (BlockingIOError, InterruptedError):
                return None
            except OSError as error:
                raise ProtocolError(f'the connection broke: {error.strerror}') from None
            if not data:
                raise ProtocolError('the connection ended before a hello')
            self._received += data
            self._missing -= len(data)
            if not self._missing and (hello := self._read()) is not None:
                return hello

    def _read(self) -> Packet | None:
        """Return the hello if it is complete; else find out how much is missing."""
        size, kind, number = HEADER.unpack_from(self._received)
        if size > _LIMITS.get(kind, -1):
            raise ProtocolError(refusal(size, kind, _LIMITS))
        body = self._received[HEADER.size :]
        self._missing = size - len(body)
        return None if self._missing else Packet(kind, number, body)

    def close(self) -> None:
        """Hang up."""
        self.connection.close()
