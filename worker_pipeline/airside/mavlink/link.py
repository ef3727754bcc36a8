# SPDX-License-Identifier: Apache-2.0
"""A MAVLink link through pymavlink: sends and receives bytes."""

from __future__ import annotations

import contextlib
import importlib
import os
import select
import socket
from typing import Any, Protocol

from worker_pipeline.airside.common.missing import missing_package

_READ_SIZE = 65536  # bytes read at a time


class LinkLostError(OSError):
    """The peer has closed the link, or the device was removed."""


class OpenLink(Protocol):
    """An open link."""

    def read(self, timeout: float) -> bytes:
        """Return the bytes that arrive within ``timeout`` (s); OSError if the link is lost."""

    def write(self, data: bytes) -> None:
        """Send without blocking; OSError if the link is lost."""

    def close(self) -> None:
        """Close the link."""


def check_libraries(address: str) -> None:
    """Import the libraries that an address needs.

    Raises MissingPackageError, which names the packages to install, if one is not installed.
    """
    _imported('pymavlink.mavutil')
    if address.startswith('/'):
        _imported('serial')


def _imported(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise missing_package(error) from error


class Link:
    """An open link. Raises OSError if it cannot be opened, which may take seconds.

    ``address``: see :mod:`worker_pipeline.airside.mavlink.address`. ``baud_rate``: bit/s, for a
    serial device whose address has none.
    """

    def __init__(self, address: str, baud_rate: int = 115200) -> None:
        self._connection = _connection(address, baud_rate)
        self._is_stream = not address.startswith('udp')
        self._port: Any = None  # the stream that the unsent rest belongs to
        self._rest = b''

    def read(self, timeout: float) -> bytes:
        """Return the bytes received; empty if none arrive within ``timeout`` (s). LinkLostError."""
        if not self._readable(timeout):
            return b''
        data = self._receive()
        # A stream that is readable but empty has ended, unless a client was just accepted.
        if not data and self._is_stream and self._readable(0.0):
            data = self._receive()
            if not data:
                raise LinkLostError('the peer has closed the link')
        return data

    def write(self, data: bytes) -> None:
        """Send without waiting for a blocked link. LinkLostError.

        Data that does not fit into a stream's buffer is dropped, but only whole messages: the rest
        of a message already begun is sent first, since a partial one would corrupt the next.
        """
        if not self._is_stream:
            self._connection.write(data)
            return
        port = self._connection.port
        if port is not self._port:
            self._port, self._rest = port, b''
        if port is None:
            return  # no client has connected yet
        if self._rest:
            self._rest = self._rest[_write_some(port, self._rest) :]
        if not self._rest:
            sent = _write_some(port, data)
            self._rest = data[sent:] if sent else b''

    def close(self) -> None:
        """Close the link."""
        with contextlib.suppress(OSError, AttributeError):
            self._connection.close()

    def _readable(self, timeout: float) -> bool:
        ready, _, _ = select.select([self._connection.fd], [], [], timeout)
        return bool(ready)

    def _receive(self) -> bytes:
        try:
            received: Any = self._connection.recv(_READ_SIZE)
        except OSError as error:
            raise LinkLostError(str(error)) from error
        return bytes(received) if received else b''


def _connection(address: str, baud_rate: int) -> Any:
    mavutil = _imported('pymavlink.mavutil')
    kind, _, place = address.partition(':')
    if kind == 'tcp':
        from worker_pipeline.airside.mavlink.tcp_client import TcpClient

        return TcpClient(place)
    if kind == 'udpout':
        # Resolve the name once, here: pymavlink resolves it on each write and hides errors.
        host, port = place.split(':')
        address = f'udpout:{socket.gethostbyname(host)}:{port}'
    # A server answers recent peers: a peer that was restarted has another port.
    return mavutil.mavlink_connection(
        address, baud=baud_rate, retries=1, autoreconnect=False, udp_timeout=5
    )


def _write_some(port: Any, data: bytes) -> int:
    """Return how many bytes a stream accepts now. Not through pymavlink: pyserial would block."""
    try:
        return os.write(port.fileno(), data)
    except BlockingIOError:
        return 0
    except OSError as error:
        raise LinkLostError(str(error)) from error
