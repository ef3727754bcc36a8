"""A MAVLink link: bytes to and from an address, through pymavlink."""

from __future__ import annotations

import contextlib
import importlib
import os
import select
import socket
from typing import Any, Protocol

_MOST = 65536  # bytes read at a time


class LinkLostError(OSError):
    """The other side has closed the link, or the device is gone."""


class OpenLink(Protocol):
    """What is needed of a link."""

    def read(self, timeout: float) -> bytes:
        """What has come within ``timeout`` (s); OSError if the link is lost."""

    def write(self, data: bytes) -> None:
        """Send, without waiting for anybody; OSError if the link is lost."""

    def close(self) -> None:
        """Close it."""


def check_libraries(address: str) -> None:
    """Import what an address needs, so that it is told at once where it is not installed."""
    _mavutil()
    if address.startswith('/'):
        importlib.import_module('serial')


def _mavutil() -> Any:
    return importlib.import_module('pymavlink.mavutil')


class Link:
    """An open link. Raises OSError where it cannot be opened, which may take seconds.

    ``address``: see :mod:`worker_pipeline.airside.mavlink.address`. ``baud_rate``: bit/s, for a
    serial device whose address names none.
    """

    def __init__(self, address: str, baud_rate: int = 115200) -> None:
        self._connection = _connection(address, baud_rate)
        self._is_stream = not address.startswith('udp')
        self._port: Any = None  # the stream that the rest belongs to
        self._rest = b''

    def read(self, timeout: float) -> bytes:
        """What has come; empty if nothing does within ``timeout`` (s). LinkLostError."""
        if not self._readable(timeout):
            return b''
        data = self._receive()
        # A stream that is readable and has nothing has ended; unless a caller was just taken.
        if not data and self._is_stream and self._readable(0.0):
            data = self._receive()
            if not data:
                raise LinkLostError('the other side has closed it')
        return data

    def write(self, data: bytes) -> None:
        """Send; nobody waits for a link that is stuck. LinkLostError.

        What a stream has no room for is lost, but never in part: the rest of what was begun goes
        first, since half a message would spoil the one after it.
        """
        if not self._is_stream:
            self._connection.write(data)
            return
        port = self._connection.port
        if port is not self._port:
            self._port, self._rest = port, b''
        if port is None:
            return  # nobody has called yet
        if self._rest:
            self._rest = self._rest[_taken(port, self._rest) :]
        if not self._rest:
            sent = _taken(port, data)
            self._rest = data[sent:] if sent else b''

    def close(self) -> None:
        """Close it."""
        with contextlib.suppress(OSError, AttributeError):
            self._connection.close()

    def _readable(self, timeout: float) -> bool:
        ready, _, _ = select.select([self._connection.fd], [], [], timeout)
        return bool(ready)

    def _receive(self) -> bytes:
        try:
            received: Any = self._connection.recv(_MOST)
        except OSError as error:
            raise LinkLostError(str(error)) from error
        return bytes(received) if received else b''


def _connection(address: str, baud_rate: int) -> Any:
    mavutil = _mavutil()
    kind, _, place = address.partition(':')
    if kind == 'tcp':
        from worker_pipeline.airside.mavlink.tcp_client import TcpClient

        return TcpClient(place)
    if kind == 'udpout':
        # Looked up once and here: pymavlink does it while it writes, and hides what goes wrong.
        host, port = place.split(':')
        address = f'udpout:{socket.gethostbyname(host)}:{port}'
    # A server answers those that were heard lately: one that was restarted has another port.
    return mavutil.mavlink_connection(
        address, baud=baud_rate, retries=1, autoreconnect=False, udp_timeout=5
    )


def _taken(port: Any, data: bytes) -> int:
    """How many bytes a stream takes now. Not through pymavlink, as pyserial waits for room."""
    try:
        return os.write(port.fileno(), data)
    except BlockingIOError:
        return 0
    except OSError as error:
        raise LinkLostError(str(error)) from error
