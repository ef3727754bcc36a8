"""A ground station on loopback: acknowledges, loses what it is given, and goes away."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

os.environ['MAVLINK20'] = '1'  # before mavutil is imported

from pymavlink import mavutil
from pymavlink.dialects.v20 import common

GROUND = 255  # the system's number in MAVLink


class GroundStation:
    """Listens on a UDP port of its own, or on a ``link`` that mavutil has opened.

    ``keep``: whether to take a command, by how many have come before it; the others are as if
    lost. ``acknowledges``: whether it says so. ``result``: what it says.
    """

    def __init__(self, port: int = 0, link: Any = None) -> None:
        if link is None:
            link = mavutil.mavudp(
                f'127.0.0.1:{port}', input=True, source_system=GROUND, source_component=190
            )
            port = link.port.getsockname()[1]
        self._link = link
        self.port = port
        self.keep: Callable[[int], bool] = lambda _number: True
        self.acknowledges = True
        self.result = common.MAV_RESULT_ACCEPTED
        self.commands: list[Any] = []  # all that came, also what was then lost
        self.targets: dict[int, Any] = {}  # the last command of each target that was kept
        self.texts: list[str] = []
        self.heartbeats = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    @property
    def connection(self) -> str:
        """For who wants to reach it by UDP."""
        return f'udpout:127.0.0.1:{self.port}'

    def send_garbage(self) -> None:
        """What is no MAVLink."""
        self._link.write(b'\xfd\x09\x00' + os.urandom(300))

    def close(self) -> None:
        """Go away; the port is free."""
        self._stop.set()
        self._thread.join()
        self._link.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._link.select(0.01)
            while True:
                message = self._link.recv_msg()
                if message is None:
                    break
                self._take(message)

    def _take(self, message: Any) -> None:
        kind = message.get_type()
        if kind == 'HEARTBEAT':
            self.heartbeats += 1
            self._link.mav.heartbeat_send(
                common.MAV_TYPE_GCS, common.MAV_AUTOPILOT_INVALID, 0, 0, common.MAV_STATE_ACTIVE
            )
        elif kind == 'STATUSTEXT':
            self.texts.append(message.text)
        elif kind == 'COMMAND_INT':
            self.commands.append(message)
            if not self.keep(len(self.commands) - 1):
                return
            self.targets[round(message.param1)] = message
            if self.acknowledges:
                self._link.mav.command_ack_send(
                    message.command,
                    self.result,
                    0,
                    0,
                    message.get_srcSystem(),
                    message.get_srcComponent(),
                )
