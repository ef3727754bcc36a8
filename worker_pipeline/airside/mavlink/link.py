"""A MAVLink link: bytes to and from an address, through pymavlink."""

from __future__ import annotations

import contextlib
import importlib
import select
from typing import Any

_MOST = 65536  # bytes read at a time


class LinkLostError(OSError):
    """The other side has closed the link, or the device is gone."""


def check_libraries(address: str) -> None:
    """Import what an address needs, so that it is told at once where it is not installed."""
    _mavutil()
    if address.startswith('/'):
        importlib.import_module('serial')


def _mavutil() -> Any:
    return importlib.import_module('pymavlink.mavutil')


class Link:
    """An open link. Raises OSError where it cannot be opened.

    ``address``: see :mod:`worker_pipeline.airside.mavlink.address`. ``baud_rate``: bit/s, for a
    serial device whose address names none.
    """

    def __init__(self, address: str, baud_rate: int = 115200) -> None:
        mavutil = _mavutil()
        # A server answers those that were heard lately: one that was restarted has another port.
        self._connection = mavutil.mavlink_connection(
            address, baud=baud_rate, retries=1, autoreconnect=False, udp_timeout=5
        )
        self._is_stream = not isinstance(self._connection, mavutil.mavudp)

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
        """Send, as far as there is room: nobody waits for a link that is stuck. LinkLostError."""
        if self._connection.write(data) == -1:  # of a serial device; the others say nothing
            raise LinkLostError('the device does not take anything')

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
