"""A ground station on loopback: acknowledges, loses what it is given, and goes away."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
from collections.abc import Callable
from typing import Any

from pymavlink.dialects.v20 import common

from worker_pipeline.airside.mavlink.link import OpenLink
from worker_pipeline.airside.mavlink.packing import packed
from worker_pipeline.airside.mavlink.parser import MessageParser

GROUND, COMPONENT = 255, 190  # its numbers in MAVLink: those of a ground station
_LONGEST = 65536  # bytes, of a datagram
_LOOK = 0.01  # s


class UdpPort:
    """A link to whoever was heard last on a port of this machine; 0: any that is free."""

    def __init__(self, port: int = 0) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(('127.0.0.1', port))
        self.port: int = self._socket.getsockname()[1]
        self._peer: Any = None

    def read(self, timeout: float) -> bytes:
        """What has come."""
        if not select.select([self._socket], [], [], timeout)[0]:
            return b''
        data, self._peer = self._socket.recvfrom(_LONGEST)
        return data

    def write(self, data: bytes) -> None:
        """Send, where somebody was heard."""
        if self._peer is not None:
            self._socket.sendto(data, self._peer)

    def close(self) -> None:
        """The port is free."""
        self._socket.close()


class GroundStation:
    """Listens on a UDP port of its own, or talks over another ``link``.

    ``keep``: whether to take a command, by how many have come before it; the others are as if
    lost. ``acknowledges``: whether it says so. ``result``: what it says.
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
        self.commands: list[Any] = []  # all that came, also what was then lost
        self.targets: dict[int, Any] = {}  # the last command of each target that was kept
        self.texts: list[str] = []
        self.heartbeats = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name='ground station', daemon=True)
        self._thread.start()

    @property
    def connection(self) -> str:
        """For who wants to reach it by UDP."""
        return f'udpout:127.0.0.1:{self.port}'

    def send_garbage(self) -> None:
        """What is no MAVLink."""
        self._send(b'\xfd\x09\x00' + os.urandom(300))

    def close(self) -> None:
        """Go away; the port is free."""
        self._stop.set()
        self._thread.join()
        self._link.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                data = self._link.read(_LOOK)
            except OSError:  # whoever talked has gone away
                self._stop.wait(_LOOK)
                continue
            for message in self._parser.feed(data):
                self._take(message)

    def _take(self, message: Any) -> None:
        kind = message.get_type()
        if kind == 'HEARTBEAT':
            self.heartbeats += 1
            self._say(
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
                self._say(
                    common.MAVLink_command_ack_message(message.command, self.result, 0, 0, *sender)
                )

    def _say(self, message: Any) -> None:
        self._send(packed(self._mavlink, message))

    def _send(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self._link.write(data)
