# SPDX-License-Identifier: Apache-2.0
"""A worker's channel to the manager, and to its successor after the manager's death."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from worker_pipeline.protocol import channel as channels
from worker_pipeline.protocol.channel import Channel, Packet, ProtocolError


class ManagerChannel:
    """Connects, sends and reads on any thread; only the main thread waits.

    Args:
        path: The socket at which managers listen.
        hello: Returns the packets that each new manager is sent first.
        handle: Called with each packet received, on the thread that reads, never on two at once.
    """

    def __init__(
        self, path: Path, hello: Callable[[], Iterable[Packet]], handle: Callable[[Packet], None]
    ) -> None:
        self._path = path
        self._hello = hello
        self._handle = handle
        self._channel: Channel | None = None
        self._send_lock, self._read_lock = threading.Lock(), threading.Lock()
        self._wake_event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._wake_event, select.POLLIN)
        self._polled: Channel | None = None
        self._replaced: list[Channel] = []

    @property
    def connected(self) -> bool:
        """Return whether a manager is connected, as far as is known."""
        return self._channel is not None and not self._channel.closed

    def connect(self, manager: int) -> bool:
        """Connect to a manager and say hello; return whether it listens.

        ``manager``: its pid. Nothing is sent to, or read from, another process.
        """
        fresh = channels.connect(self._path)
        if fresh is None:
            return False
        if (fresh.peer.pid, fresh.peer.user) != (manager, os.getuid()):
            fresh.close()
            return False
        self.read(everything=True)  # sent by the previous manager
        with self._send_lock:
            # Under the lock, so that every later packet follows the hello, which covers the past.
            if self._channel is not None:
                self._replaced.append(self._channel)
            self._channel = fresh
            for packet in self._hello():
                fresh.send_all(*packet)
        self.wake()
        return True

    def send(self, kind: int, number: int = 0, body: bytes = b'') -> None:
        """Send a packet to the manager; discard it when there is none.

        Args:
            kind: A ``PacketType``.
            number: The number of the item or frame that the packet concerns.
            body: The payload.
        """
        with self._send_lock:
            if self._channel is not None and not self._channel.closed:
                self._channel.send_all(kind, number, body)

    def read(self, *, everything: bool = False) -> None:
        """Handle the packets that have arrived.

        ``everything``: all that a dead manager has sent, as no one will send it again.
        """
        with self._read_lock:
            channel = self._channel
            if channel is None:
                return
            fault = ''
            try:
                for packet in channel.receive(everything=everything):
                    self._handle(packet)
            except ProtocolError as error:
                fault = str(error)
            fault = fault or channel.fault
            if fault:
                channel.fault, channel.closed = '', True  # the other thread connects again
                with contextlib.suppress(OSError):  # standard error may be closed
                    text = f"the manager's packets are not understood: {fault}; connecting again"
                    print(text, file=sys.stderr, flush=True)

    def read_when_ready(self, timeout: float) -> None:
        """Handle the next packets, within ``timeout`` s; beside the main thread."""
        channel = self._channel
        descriptor = -1 if channel is None or channel.closed else channel.fileno()
        poll = select.poll()
        if descriptor >= 0:
            poll.register(descriptor, select.POLLIN)
        if poll.poll(timeout * 1e3):
            self.read()

    def poll(self, *, wait: bool) -> None:
        """Handle arrived packets; ``wait``: until a packet arrives or ``wake`` is called.

        For the main thread only.
        """
        if wait:
            self._wait()
        self.read()

    def wake(self) -> None:
        """End the main thread's wait."""
        os.eventfd_write(self._wake_event, 1)

    def _wait(self) -> None:
        current = self._channel if self.connected else None
        if current is not self._polled:
            if self._polled is not None:
                self._poll.unregister(self._polled)
            self._polled = current
            if current is not None:
                self._poll.register(current, select.POLLIN)
            while self._replaced:
                self._replaced.pop().close()  # only here, where no thread waits for it
        if any(descriptor == self._wake_event for descriptor, _ in self._poll.poll()):
            os.eventfd_read(self._wake_event)

    def close(self) -> None:
        """Close the channel for good, when no thread waits or reads any more."""
        with self._send_lock:
            for channel in (self._channel, *self._replaced):
                if channel is not None:
                    channel.close()
        os.close(self._wake_event)
