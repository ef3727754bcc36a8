# SPDX-License-Identifier: Apache-2.0
"""The manager's end of the connection to its guardian, and the packets that pass through it."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct

from worker_pipeline.system.descriptor_passing import receive_packet
from worker_pipeline.system.fork_client import KeptServer
from worker_pipeline.system.systemd_notifier import SystemdNotifier

# From the manager, the first byte of a packet: a notification as for systemd; that it supervises
# its workers; a request for a fork server.
NOTIFY, RUNNING, SERVER = b'N', b'R', b'S'
# The answer to the last: the server's pid, beside a connection to it.
SERVER_PID = struct.Struct('<q')
MAX_PACKET = 4096
# How long to wait for a fork server, s. It takes some milliseconds, unless the guardian is stopped;
# without an answer the manager starts one itself.
SERVER_TIMEOUT = 0.3


class GuardianLink:
    """Exchanges packets with the guardian; never blocks for long, and never raises."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def send(self, kind: bytes, text: str = '') -> bool:
        """Send a packet; return whether that was possible."""
        try:
            packet = kind + text.encode()[: MAX_PACKET - 1]
            self._connection.send(packet, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        except OSError:  # it is full, as the guardian is stopped
            return False
        return True

    def kept_server(self) -> KeptServer | None:
        """Return a connection to the fork server that the guardian keeps, or to a new one."""
        late = self._receive(0.0)
        if late is not None:
            late.connection.close()
        if not self.send(SERVER):
            return None
        return self._receive(SERVER_TIMEOUT)

    def _receive(self, timeout: float) -> KeptServer | None:
        poll = select.poll()
        poll.register(self._connection, select.POLLIN)
        if not poll.poll(timeout * 1e3):
            return None
        with contextlib.suppress(OSError):
            packet, descriptors = receive_packet(self._connection, MAX_PACKET, 1)
            if len(packet) == SERVER_PID.size and descriptors:
                (pid,) = SERVER_PID.unpack(packet)
                return KeptServer(pid, socket.socket(fileno=descriptors[0]))
            for each in descriptors:
                os.close(each)
        return None


class GuardedNotifier(SystemdNotifier):
    """Sends notifications to the guardian, who passes them on: systemd takes none from others.

    Args:
        link: To the guardian.
        watchdog: The watchdog timeout, s; 0: no watchdog.
    """

    def __init__(self, link: GuardianLink, watchdog: float) -> None:
        super().__init__(watchdog=watchdog)
        self._link = link
        self._is_running = False

    def ping_watchdog(self, now: float) -> None:
        """Reset the watchdog's timer if that is due; at first, report that this manager works."""
        if not self._is_running:
            self._is_running = self._link.send(RUNNING)
        super().ping_watchdog(now)

    def _send(self, message: str) -> bool:
        return self._link.send(NOTIFY, message)
