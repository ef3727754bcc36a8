# SPDX-License-Identifier: Apache-2.0
"""The manager's server of channels on a thread of its own, without a manager."""

from __future__ import annotations

import os
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from worker_pipeline.manager.channel_server import ChannelServer, PacketHandler
from worker_pipeline.protocol.channel import Channel, Packet


class Manager:
    """A server on a thread of its own, and the packets that it received.

    This process is a worker, unless the test changes ``workers``.
    """

    def __init__(self, path: Path) -> None:
        self.calls: list[Callable[[], object]] = []
        self.internal_errors: list[str] = []
        self.received: list[Packet] = []
        self.channels: list[Channel] = []
        self.accepts_workers = True
        self.workers = {os.getpid()}
        self.refused: list[tuple[int, str]] = []
        self._wake_event = threading.Event()
        self._stopping = False
        self.server = ChannelServer(
            path,
            self.call_soon,
            lambda pid: self.is_worker(pid),
            self.on_hello,
            lambda pid, reason: self.refused.append((pid, reason)),
        )
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def call_soon(self, call: Callable[[], object]) -> None:
        self.calls.append(call)
        self._wake_event.set()

    def is_worker(self, pid: int) -> bool:
        return pid in self.workers

    def on_hello(self, channel: Channel, packet: Packet) -> PacketHandler | None:
        if not self.accepts_workers:
            return None
        self.channels.append(channel)
        self.received.append(packet)
        return self.received.extend

    def _run(self) -> None:
        while not self._stopping:
            self._wake_event.wait()
            self._wake_event.clear()
            while self.calls:
                try:
                    self.calls.pop(0)()
                except Exception:
                    self.internal_errors.append(traceback.format_exc())

    def run(self, call: Callable[[], object]) -> None:
        """Run a call on the server's thread and wait for it."""
        done = threading.Event()

        def call_and_report() -> None:
            call()
            done.set()

        self.call_soon(call_and_report)
        assert done.wait(5.0)

    def send(self, *packet: Any) -> None:
        self.run(lambda: self.server.send(self.channels[-1], *packet))

    def close(self) -> None:
        self.run(self.server.close)
        self._stopping = True
        self._wake_event.set()
        self._thread.join()
