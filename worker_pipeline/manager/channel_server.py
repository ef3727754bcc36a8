# SPDX-License-Identifier: Apache-2.0
"""The manager's end of all channels: accepts connections and passes packets on.

Packets are read and handled on the manager's own thread: its executor cannot wait for sockets. A
second thread waits for them while there is nothing to read. Under load it sleeps and costs nothing.

The kernel says which process has connected. The connection of one that is no worker is closed
before anything is read; that of a worker at the first packet that it may not send.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from worker_pipeline.protocol import channel as channels
from worker_pipeline.protocol.channel import FROM_WORKER, Channel, Packet, ProtocolError
from worker_pipeline.protocol.handshake import HELLO_TIMEOUT, Handshake, peer_refusal
from worker_pipeline.recovery.set_aside import make_way_for_file
from worker_pipeline.system.files import identity_of
from worker_pipeline.system.unix_sockets import peer_of

# How many callers are served before the channels are read again.
_MAX_ACCEPTED = 64
# How many connections of one process may be waiting for their hello; the oldest gives way.
_MAX_HANDSHAKES = 4
# How long no connection is accepted after that has failed, as no file descriptor is left, s.
_LISTEN_AGAIN_AFTER = 0.2
# Called with the packets that a worker has sent since the last call.
PacketHandler = Callable[[list[Packet]], None]


class ChannelServer:
    """Listens for workers at ``path``. All methods belong to the thread of ``call_soon``.

    Args:
        path: Where the socket is made. OSError is raised if that fails.
        call_soon: Schedules a call on the manager's thread. It is called from any thread.
        is_worker: Whether a pid is that of a worker, which alone may connect.
        on_hello: Called with a new channel and its first packet. Returns the handler of all further
            packets, or None to have the worker connect again later. Both may raise ProtocolError.
        on_refused: Called with the pid and the reason when somebody was hung up on.
    """

    def __init__(
        self,
        path: Path,
        call_soon: Callable[[Callable[[], None]], Any],
        is_worker: Callable[[int], bool],
        on_hello: Callable[[Channel, Packet], PacketHandler | None],
        on_refused: Callable[[int, str], None],
    ) -> None:
        self._path = path
        self._call_soon = call_soon
        self._is_worker = is_worker
        self._on_hello = on_hello
        self._on_refused = on_refused
        # By file descriptor:
        self._handshakes: dict[int, Handshake] = {}
        self._channels: dict[int, Channel] = {}
        self._handlers: dict[int, PacketHandler] = {}
        self._waiting_for_room: set[int] = set()
        # Channels to flush when the packets just read have been handled; None: flush at once.
        self._pending: dict[int, Channel] | None = None
        self._closed = False
        self._listen_again_at: float | None = None  # s; None: it is listening
        self._listener = channels.listen(path)
        self._socket_identity = identity_of(path)
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
                elif descriptor in self._handshakes:
                    self._receive_hello(self._handshakes[descriptor])
        finally:
            # Check first: a scheduled call that finds nothing costs as much as reading a packet.
            if ready and self._epoll.poll(0):
                self._call_soon(self._read_ready)
            else:
                self._all_read.release()

    # -- connections -----------------------------------------------------------------------------

    def is_in_place(self) -> bool:
        """Return whether workers find the socket at its path."""
        return identity_of(self._path) == self._socket_identity

    def listen_anew(self) -> None:
        """Make the socket again: its file is gone, or another one's. Raises OSError.

        Connections stay as they are.
        """
        make_way_for_file(self._path)
        fresh = channels.listen(self._path)
        if self._listen_again_at is None:
            self._epoll.unregister(self._listener)
        self._listener.close()
        self._listener, self._listen_again_at = fresh, None
        self._socket_identity = identity_of(self._path)
        self._epoll.register(self._listener, select.EPOLLIN)

    def _accept(self) -> None:
        for _ in range(_MAX_ACCEPTED):
            try:
                connection, _ = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                # It stays readable, and would be tried again and again.
                self._epoll.unregister(self._listener)
                self._listen_again_at = time.monotonic() + _LISTEN_AGAIN_AFTER
                self._on_refused(0, f'a connection cannot be accepted: {error.strerror}')
                return
            self._begin(connection)

    def _begin(self, connection: socket.socket) -> None:
        try:
            peer = peer_of(connection)
        except OSError:
            connection.close()
            return
        reason = peer_refusal(peer, self._is_worker)
        if reason:
            connection.close()
            self._on_refused(peer.pid, reason)
            return
        waiting = [each for each in self._handshakes.values() if each.pid == peer.pid]
        if len(waiting) >= _MAX_HANDSHAKES:
            reason = f'found more than {_MAX_HANDSHAKES} connections without a hello'
            self._expect_now(waiting[0], reason)
        self._handshakes[connection.fileno()] = Handshake(connection, peer.pid, time.monotonic())
        self._epoll.register(connection, select.EPOLLIN)

    def _receive_hello(self, handshake: Handshake) -> None:
        """Make a channel of a connection on which a worker has said hello."""
        try:
            hello = handshake.receive()
            if hello is None:
                return
        except ProtocolError as error:
            self._refuse(handshake, str(error))
            return
        descriptor = handshake.connection.fileno()
        del self._handshakes[descriptor]
        channel = self._channels[descriptor] = Channel(handshake.connection, FROM_WORKER)
        self._pending = {}
        handler: PacketHandler | None = None
        try:
            handler = self._on_hello(channel, hello)
        except ProtocolError as error:
            self._on_refused(handshake.pid, str(error))
        finally:
            self._end_batch()
            if handler is None:
                self.close_channel(channel)
        if handler is not None and channel.fileno() >= 0:
            self._handlers[descriptor] = handler
            self.read(channel)

    def _expect_now(self, handshake: Handshake, reason: str) -> None:
        """Hang up if the hello has not arrived; this process may have been too slow to read it."""
        self._receive_hello(handshake)
        if handshake.connection.fileno() in self._handshakes:
            self._refuse(handshake, reason)

    def _refuse(self, handshake: Handshake, reason: str) -> None:
        del self._handshakes[handshake.connection.fileno()]
        self._epoll.unregister(handshake.connection)
        handshake.close()
        self._on_refused(handshake.pid, reason)

    def check(self, now: float) -> None:
        """Hang up on those who are silent, and accept connections again. ``now``: s."""
        for handshake in [*self._handshakes.values()]:
            if now > handshake.deadline:
                self._expect_now(handshake, f'found no hello for {HELLO_TIMEOUT:g} s')
        if self._listen_again_at is not None and now > self._listen_again_at:
            self._listen_again_at = None
            self._epoll.register(self._listener, select.EPOLLIN)

    # -- packets ---------------------------------------------------------------------------------

    def read(self, channel: Channel, *, everything: bool = False) -> None:
        """Read a worker's packets and pass them to its handler.

        ``everything``: read all that a dead worker has sent, then close the channel.
        """
        descriptor = channel.fileno()
        if self._channels.get(descriptor) is not channel:
            return
        handler = self._handlers.get(descriptor)
        if handler is None:
            return  # its hello is being handled
        if channel.has_unsent:
            self._flush(channel)
        packets = channel.receive(everything=everything)
        fault = channel.fault
        if packets:
            self._pending = {}
            try:
                handler(packets)
            except ProtocolError as error:
                fault = str(error)
            finally:
                self._end_batch()
        if fault:
            self._on_refused(channel.peer_pid if channel.fileno() >= 0 else 0, fault)
        if channel.closed or fault or everything:
            self.close_channel(channel)

    def _end_batch(self) -> None:
        """Send what was held back while packets were being handled."""
        if self._pending:
            self.flush_pending()
        self._pending = None

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
        for handshake in self._handshakes.values():
            handshake.close()
        self._listener.close()
        if self.is_in_place():
            self._path.unlink(missing_ok=True)
        self._epoll.close()
        os.close(self._stop_event)
