# SPDX-License-Identifier: Apache-2.0
"""The manager's end of all channels: accepts connections and passes packets on.

Packets are read and handled on the manager's own thread: its executor cannot wait for sockets. A
second thread waits for them while there is nothing to read. Under load it sleeps and costs nothing.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from worker_pipeline.protocol import channel as channels
from worker_pipeline.protocol.channel import Channel, Packet, PacketType

# Called with the packets that a worker has sent since the last call.
PacketHandler = Callable[[list[Packet]], None]


class ChannelServer:
    """Listens for workers at ``path``. All methods belong to the thread of ``call_soon``.

    Args:
        path: Where the socket is made. OSError is raised if that fails.
        call_soon: Schedules a call on the manager's thread. It is called from any thread.
        on_hello: Called with a new channel and its first packet. Returns the handler of all further
            packets, or None to close the channel.
    """

    def __init__(
        self,
        path: Path,
        call_soon: Callable[[Callable[[], None]], Any],
        on_hello: Callable[[Channel, Packet], PacketHandler | None],
    ) -> None:
        self._path = path
        self._call_soon = call_soon
        self._on_hello = on_hello
        # By file descriptor:
        self._channels: dict[int, Channel] = {}
        self._handlers: dict[int, PacketHandler] = {}
        self._waiting_for_room: set[int] = set()
        # Channels to flush when the packets just read have been handled; None: flush at once.
        self._pending: dict[int, Channel] | None = None
        self._closed = False
        self._listener = channels.listen(path)
        self._stop_event = os.eventfd(0, os.EFD_CLOEXEC)
        self._epoll = select.epoll()
        self._epoll.register(self._stop_event, select.EPOLLIN)
        self._epoll.register(self._listener, select.EPOLLIN)
        # Released when everything is read. A semaphore would take longer than the waiting it saves.
        self._all_read = threading.Lock()
        self._all_read.acquire()
        self._thread = threading.Thread(target=self._wait, name='channels', daemon=True)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Return whether the waiting thread is alive; without it nothing is received."""
        return self._thread.is_alive()

    def _wait(self) -> None:
        while True:
            self._epoll.poll()
            if self._closed:
                return
            self._call_soon(self._read_ready)
            self._all_read.acquire()

    def _read_ready(self) -> None:
        """Read every channel that has data; repeat after other callbacks while there is more."""
        if self._closed:
            return
        ready = self._epoll.poll(0)
        try:
            for descriptor, _ in ready:
                if descriptor == self._listener.fileno():
                    self._accept()
                elif descriptor in self._channels:
                    self.read(self._channels[descriptor])
        finally:
            # Check first: a scheduled call that finds nothing costs as much as reading a packet.
            if ready and self._epoll.poll(0):
                self._call_soon(self._read_ready)
            else:
                self._all_read.release()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                accepted = self._channels[connection.fileno()] = Channel(connection)
                self._epoll.register(accepted, select.EPOLLIN)

    def read(self, channel: Channel, *, everything: bool = False) -> None:
        """Read a worker's packets and pass them to its handler.

        ``everything``: read all that a dead worker has sent, then close the channel.
        """
        descriptor = channel.fileno()
        if self._channels.get(descriptor) is not channel:
            return
        if channel.has_unsent:
            self._flush(channel)
        packets = channel.receive(everything=everything)
        if packets:
            self._pending = {}
            try:
                self._handle(descriptor, channel, packets)
            finally:
                if self._pending:
                    self.flush_pending()
                self._pending = None
        if channel.closed or everything:
            self.close_channel(channel)

    def _handle(self, descriptor: int, channel: Channel, packets: list[Packet]) -> None:
        handler = self._handlers.get(descriptor)
        if handler is None:
            first, *packets = packets
            handler = self._on_hello(channel, first) if first.kind == PacketType.HELLO else None
            if handler is None:
                self.close_channel(channel)
            if handler is None or channel.fileno() < 0:
                return
            self._handlers[descriptor] = handler
        handler(packets)

    def send(self, channel: Channel, kind: int, number: int = 0, body: bytes = b'') -> None:
        """Send a packet, now or, while packets are being handled, at the next ``flush_pending``.

        Args:
            channel: The worker's channel. A packet that it has no room for is sent when it has.
            kind: A ``PacketType``.
            number: The number of the item or frame that the packet concerns.
            body: The payload.
        """
        channel.enqueue(kind, number, body)
        if self._pending is None:
            self._flush(channel)
        else:
            self._pending[channel.fileno()] = channel

    def flush_pending(self) -> None:
        """Send the packets held back while a worker's packets are being handled."""
        while self._pending:
            _, channel = self._pending.popitem()
            self._flush(channel)

    def enqueue(self, channel: Channel, kind: int, number: int = 0, body: bytes = b'') -> None:
        """Queue a packet to be sent with the next one, or when this worker next sends one.

        For packets that are not worth waking a worker for.

        Args:
            channel: the worker's.
            kind: a ``PacketType``.
            number: the number of the item or frame that the packet concerns.
            body: the payload.
        """
        channel.enqueue(kind, number, body)

    def _flush(self, channel: Channel) -> None:
        channel.flush()
        if not (self._waiting_for_room or channel.has_unsent):
            return
        descriptor = channel.fileno()
        is_waiting = descriptor in self._waiting_for_room
        if channel.has_unsent is is_waiting or descriptor not in self._channels:
            return
        if channel.has_unsent:
            self._waiting_for_room.add(descriptor)
            self._epoll.modify(channel, select.EPOLLIN | select.EPOLLOUT)
        else:
            self._waiting_for_room.discard(descriptor)
            self._epoll.modify(channel, select.EPOLLIN)

    def close_channel(self, channel: Channel) -> None:
        """Close one worker's channel."""
        descriptor = channel.fileno()
        if self._channels.get(descriptor) is channel:
            del self._channels[descriptor]
            self._handlers.pop(descriptor, None)
            self._waiting_for_room.discard(descriptor)
            self._epoll.unregister(channel)
        channel.close()

    def close(self) -> None:
        """Stop listening and close all channels."""
        if self._closed:
            return
        self._closed = True
        os.eventfd_write(self._stop_event, 1)
        with contextlib.suppress(RuntimeError):  # released already, so the thread is in `poll`
            self._all_read.release()
        self._thread.join()
        for channel in list(self._channels.values()):
            self.close_channel(channel)
        self._listener.close()
        self._path.unlink(missing_ok=True)
        self._epoll.close()
        os.close(self._stop_event)
