# SPDX-License-Identifier: Apache-2.0
"""A fork server that a guardian keeps: forked from it, it outlives the managers that it serves."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Callable

from worker_pipeline.system import fork_server
from worker_pipeline.system.descriptor_passing import send_packet
from worker_pipeline.system.fork_client import KeptServer
from worker_pipeline.system.fork_server import CONNECT


class KeptForkServer:
    """Forks the server with all that this process has imported, and connects managers to it.

    For a process that has one thread. The server is its child: it has to reap it.

    Args:
        preload: The module that the server imports for all workers.
        in_server: Called first in the server.
    """

    def __init__(self, preload: str, in_server: Callable[[], None]) -> None:
        self._preload = preload
        self._in_server = in_server
        self._connection: socket.socket | None = None
        self.pid = 0

    def connect(self) -> KeptServer:
        """Return a new connection to the server, which is forked if there is none.

        Raises OSError.
        """
        if self._connection is None:
            self._fork()
        manager, server = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with server:
            try:
                self._pass(server)
            except OSError:
                manager.close()
                raise
        return KeptServer(self.pid, manager)

    def _pass(self, end: socket.socket) -> None:
        assert self._connection is not None, 'made by _fork()'
        try:
            send_packet(self._connection, CONNECT, [end.fileno()])
        except OSError:  # it has just died, or has been stopped for long
            self.replace()
            self._fork()
            send_packet(self._connection, CONNECT, [end.fileno()])

    def _fork(self) -> None:
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            pid = os.fork()
        except OSError:
            ours.close()
            its.close()
            raise
        if pid == 0:
            self._become_server(ours, its)
        its.close()
        self.pid, self._connection = pid, ours

    def _become_server(self, ours: socket.socket, its: socket.socket) -> None:
        try:
            ours.close()
            self._in_server()
            fork_server.main(its.detach(), self._preload, is_kept=True)
            os._exit(0)
        finally:
            os._exit(1)

    def has_exited(self) -> None:
        """Forget the server, which was reaped."""
        self.pid = 0
        self.leave()

    def replace(self) -> None:
        """Kill the server, which does not work any more; the next connection forks another one."""
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        self.has_exited()

    def leave(self) -> None:
        """Keep the server no longer: it exits after its last manager and its last worker."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
