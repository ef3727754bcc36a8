"""A TCP connection that is had soon, or not at all."""

from __future__ import annotations

import socket

from pymavlink import mavutil

# As long as an answer may take over a slow radio, s. The kernel alone would try for two minutes.
_PATIENCE = 5.0


class TcpClient(mavutil.mavtcp):  # type: ignore[misc]
    """pymavlink's, but for how long it tries."""

    def do_connect(self) -> None:
        """Connect. Raises OSError where that does not succeed in time."""
        self.port = socket.create_connection(self.destination_addr, _PATIENCE)
        self.port.setblocking(False)
        self.port.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
