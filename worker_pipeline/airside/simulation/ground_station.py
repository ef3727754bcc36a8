# SPDX-License-Identifier: Apache-2.0
"""A ground station on loopback, which can lose commands and withhold acknowledgements."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
from collections.abc import Callable
from typing import Any

from worker_pipeline.airside.common.missing import missing_package
from worker_pipeline.airside.mavlink.link import OpenLink
from worker_pipeline.airside.mavlink.packing import pack_message
from worker_pipeline.airside.mavlink.parser import MessageParser

try:
    from pymavlink.dialects.v20 import common
except ModuleNotFoundError as error:
    raise missing_package(error) from error

GROUND, COMPONENT = 255, 190  # MAVLink ids of a ground station
_LONGEST = 65536  # bytes, of a datagram
_POLL_PERIOD = 0.01  # s


class UdpPort:
    """A UDP link to the last sender on a port of this machine; 0: any free port."""

    def __init__(self, port: int = 0) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(('127.0.0.1', port))
        self.port: int = self._socket.getsockname()[1]
        self._peer: Any = None

    def read(self, timeout: float) -> bytes:
        """Return the bytes received within ``timeout`` (s)."""
        if not select.select([self._socket], [], [], timeout)[0]:
            return b''
        data, self._peer = self._socket.recvfrom(_LONGEST)
        return data

    def write(self, data: bytes) -> None:
        """Send to the last sender, if there is one."""
        if self._peer is not None:
            self._socket.sendto(data, self._peer)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class GroundStation:
    """A ground station on a UDP port of its own, or on another ``link``.

    ``keep``: whether to accept a command, given the number of commands before it; others are
    treated as lost. ``acknowledges``: whether to send acknowledgements. ``result``: the result to
    send.
    """

    def __init__(self, port: int = 0, link: OpenLink | None = None) -> None:
        if link is None:
            link = udp = UdpPort(port)
            port = udp.port
        self._link = link
        self.port = port
        self._mavlink = common.MAVLink(None, GROUND, COMPONENT)
        self._parser = MessageParser()
        self.keep: Callable[[int], bool] = lambda _number: True
        self.acknowledges = True
        self.result = common.MAV_RESULT_ACCEPTED
        self.commands: list[Any] = []  # all that arrived, including those treated as lost
        self.targets: dict[int, Any] = {}  # the last accepted command of each target
        self.texts: list[str] = []
        self.heartbeats = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name='ground station', daemon=True)
        self._thread.start()

    @property
    def connection(self) -> str:
        """Return the address for a client of its UDP port."""
        return f'udpout:127.0.0.1:{self.port}'

    def send_garbage(self) -> None:
        """Send bytes that are not MAVLink."""
        self._send(b'\xfd\x09\x00' + os.urandom(300))

    def close(self) -> None:
        """Stop and close the link."""
        self._stop.set()
        self._thread.join()
        self._link.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                data = self._link.read(_POLL_PERIOD)
            except OSError:  # the peer is gone
                self._stop.wait(_POLL_PERIOD)
                continue
            for message in self._parser.feed(data):
                self._handle(message)

    def _handle(self, message: Any) -> None:
        kind = message.get_type()
        if kind == 'HEARTBEAT':
            self.heartbeats += 1
            self._reply(
                common.MAVLink_heartbeat_message(
                    common.MAV_TYPE_GCS,
                    common.MAV_AUTOPILOT_INVALID,
                    0,
                    0,
                    common.MAV_STATE_ACTIVE,
                    3,
                )
            )
        elif kind == 'STATUSTEXT':
            self.texts.append(message.text)
        elif kind == 'COMMAND_INT':
            self.commands.append(message)
            if not self.keep(len(self.commands) - 1):
                return
            self.targets[round(message.param1)] = message
            if self.acknowledges:
                sender = message.get_srcSystem(), message.get_srcComponent()
                self._reply(
                    common.MAVLink_command_ack_message(message.command, self.result, 0, 0, *sender)
                )

    def _reply(self, message: Any) -> None:
        self._send(pack_message(self._mavlink, message))

    def _send(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self._link.write(data)
