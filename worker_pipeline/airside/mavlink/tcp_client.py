# SPDX-License-Identifier: Apache-2.0
"""A TCP client with a connection timeout."""

from __future__ import annotations

import socket

from pymavlink import mavutil

# As long as an answer may take over a slow radio, s. The kernel alone would try for two minutes.
_CONNECT_TIMEOUT = 5.0


class TcpClient(mavutil.mavtcp):  # type: ignore[misc]
    """pymavlink's client with a shorter connection timeout."""

    def do_connect(self) -> None:
        """Connect. Raises OSError if that does not succeed in time."""
        self.port = socket.create_connection(self.destination_addr, _CONNECT_TIMEOUT)
        self.port.setblocking(False)
        self.port.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
