# SPDX-License-Identifier: Apache-2.0
"""The channel between the manager and one worker: a stream socket that carries packets.

A local stream socket needs no discovery, keeps the order, loses nothing, and lets the manager read
the last packets of a worker that died.

An end accepts only the types of packets that the other end sends, each up to a size. Memory is
taken as bytes arrive, not as a header announces them.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections import deque
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from worker_pipeline.system.unix_sockets import Peer, peer_of

HEADER = struct.Struct('<IIQ')  # size of the body, type, number
# Plain integers: combining two members of an enum takes longer than the system call.
_DONT_WAIT = int(socket.MSG_DONTWAIT)
_DONT_WAIT_NO_SIGNAL = int(socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
_CHUNK = 256 * 1024  # bytes read in one system call
_MAX_CHUNKS = 16  # read in one turn
_MAX_BUFFERS = 64  # sent in one system call
# Of the body of a large packet, this much is allocated before it arrives, bytes.
_FIRST_ALLOCATION = 16 * 1024 * 1024
# The kernel accepts no longer path as the address of a socket, in bytes.
_MAX_ADDRESS_LENGTH = 100
# The largest bodies, in bytes: of a hello, which comes from a process that has proved nothing yet;
# of packets about items, such as a status; and of a message.
MAX_HELLO = 64 * 1024
MAX_CONTROL = 4 * 1024 * 1024
MAX_PAYLOAD = 512 * 1024 * 1024


class PacketType:
    """The type of each packet.

    Plain numbers: an ``IntEnum`` makes each comparison and each packed header about 0.1 us slower,
    and both are done for each item.
    """

    # From a worker to the manager:
    HELLO = 1  # the first packet: which worker it is, and which items it has received
    STATUS = 2  # its lifecycle state and health
    OUTPUT = 3  # the answer to an item: a message
    OUTCOME = 4  # the answer to an item without a message: why there is none
    FRAMES_RETAINED = 7  # frames of earlier items that the worker still references
    # From the manager to a worker:
    ITEM = 5
    CHANGE_STATE = 6  # a request for a lifecycle transition
    FRAMES_FREED = 8  # frames made by this worker without references
    CONTEXT = 11  # a message of the context with this number, see `WorkerSpec`
    SIM_TIME = 10  # whether ROS time is simulated: the number is 1 or 0
    FRAMES_IN_USE = 9  # frames made by this worker that are still referenced, after a hello


# The largest body of each type of packet, by who receives it.
FROM_WORKER = {
    PacketType.STATUS: MAX_CONTROL,
    PacketType.OUTPUT: MAX_PAYLOAD,
    PacketType.OUTCOME: MAX_CONTROL,
    PacketType.FRAMES_RETAINED: MAX_PAYLOAD,  # references contain what is not in the frame
}
FROM_MANAGER = {
    PacketType.ITEM: 2**32 - 1,  # a message from outside, whatever DDS has accepted
    PacketType.CONTEXT: 2**32 - 1,  # the same
    PacketType.CHANGE_STATE: MAX_CONTROL,
    PacketType.FRAMES_FREED: MAX_CONTROL,
    PacketType.SIM_TIME: MAX_CONTROL,
    PacketType.FRAMES_IN_USE: MAX_CONTROL,
}


class ProtocolError(ValueError):
    """What the other end has sent is not what it may send."""


class Packet(NamedTuple):
    """The unit of the protocol: a type, a number with a meaning by type, and a body."""

    kind: int
    number: int
    body: bytes


class Channel:
    """One end of a connection. Packets that the socket has no room for are kept until it has.

    Args:
        connection: The socket.
        limits: The largest body of each type of packet that may be received.
    """

    def __init__(self, connection: socket.socket, limits: Mapping[int, int]) -> None:
        self._socket = connection
        self._limits = limits
        self.fault = ''  # what was wrong with the last packet: the channel is closed then
        self._partial = b''  # the beginning of a packet
        # The body of a large packet, received in place; how much of it has arrived, and will; its
        # type and number.
        self._large: bytearray | None = None
        self._filled = self._large_size = 0
        self._large_header = (0, 0)
        self._unsent: deque[bytes | memoryview] = deque()
        self.closed = False  # by either end: nothing can be received or sent any more

    def fileno(self) -> int:
        """Return the socket's file descriptor; -1 once it is closed."""
        return self._socket.fileno()

    @property
    def peer(self) -> Peer:
        """Return the process at the other end, as the kernel knows it."""
        return peer_of(self._socket)

    @property
    def peer_pid(self) -> int:
        """Return the pid of the process at the other end."""
        return self.peer.pid

    def close(self) -> None:
        """Close the socket and discard unsent packets."""
        self.closed = True
        self._unsent.clear()
        self._socket.close()

    # -- receiving -------------------------------------------------------------------------------

    def receive(self, *, everything: bool = False) -> list[Packet]:
        """Return the complete packets that have arrived, without waiting.

        One call reads a few megabytes at most, so that a busy worker cannot starve the others;
        with ``everything`` it reads until the socket is empty. Sets ``closed`` at the end of the
        stream, and also ``fault`` at a packet that may not be received; those before it count.
        """
        packets: list[Packet] = []
        chunks = 0
        while self._receive_chunk(packets, everything=everything):
            chunks += 1
            if chunks == _MAX_CHUNKS and not everything:
                break
        return packets

    def _receive_chunk(self, packets: list[Packet], *, everything: bool) -> bool:
        """Read once from the socket; return whether there may be more to read."""
        if self.closed:
            return False
        try:
            if self._large is not None:
                with memoryview(self._large) as large, large[self._filled :] as rest:
                    count = self._socket.recv_into(rest, 0, _DONT_WAIT)
            else:
                data = self._socket.recv(_CHUNK, _DONT_WAIT)
                count = len(data)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            count = 0  # the peer died and the kernel reset the connection
        if not count:
            self.closed = True
            return False
        if self._large is None:
            try:
                self._split(self._partial + data if self._partial else data, packets)
            except ProtocolError as error:
                self.fault, self.closed = str(error), True
                return False
            # A short read means that the socket is empty, for now.
            return everything or count == _CHUNK or self._large is not None
        self._filled += count
        if self._filled == self._large_size:
            packets.append(Packet(*self._large_header, bytes(self._large)))
            self._large = None
        elif self._filled == len(self._large):
            self._large += bytes(min(self._filled, self._large_size - self._filled))
        return True

    def _split(self, data: bytes, packets: list[Packet]) -> None:
        """Append the complete packets in ``data`` to ``packets`` and keep the remainder."""
        at, end = 0, len(data)
        while end - at >= HEADER.size:
            size, kind, number = HEADER.unpack_from(data, at)
            if size > self._limits.get(kind, -1):
                raise ProtocolError(refusal(size, kind, self._limits))
            body = at + HEADER.size
            if body + size > end:
                if size > _CHUNK:
                    self._large = bytearray(min(size, _FIRST_ALLOCATION))
                    self._large_size = size
                    self._filled = end - body
                    self._large[: self._filled] = memoryview(data)[body:]
                    self._large_header, at = (kind, number), end
                break
            packets.append(Packet(kind, number, data[body : body + size]))
            at = body + size
        self._partial = data[at:]

    # -- sending ---------------------------------------------------------------------------------

    @property
    def has_unsent(self) -> bool:
        """Return whether packets are waiting; call ``flush`` when the socket becomes writable."""
        return bool(self._unsent)

    def enqueue(self, kind: int, number: int = 0, body: bytes = b'') -> None:
        """Queue a packet for the next ``flush``; a closed channel discards it.

        Args:
            kind: A ``PacketType``.
            number: The number of the item or frame that the packet concerns.
            body: The payload.
        """
        if not self.closed:
            self._unsent.extend(_buffers(kind, number, body))

    def flush(self) -> None:
        """Send as much of the queued packets as the socket has room for."""
        unsent = self._unsent
        while unsent:
            count = self._send_some([*islice(unsent, _MAX_BUFFERS)])
            if not count:
                return
            while count:
                first = unsent.popleft()
                if count < len(first):
                    unsent.appendleft(memoryview(first)[count:])
                    return
                count -= len(first)

    def _send_some(self, buffers: list[bytes | memoryview]) -> int:
        """Send without waiting; return the number of bytes sent, or discarded if the peer died."""
        try:
            return self._socket.sendmsg(buffers, (), _DONT_WAIT_NO_SIGNAL)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            # Only `receive` sets `closed`: the dead peer's last packets may still be unread.
            return sum(len(buffer) for buffer in buffers)

    def send_all(self, kind: int, number: int = 0, body: bytes = b'') -> None:
        """Send a packet and wait until the socket has taken it all.

        Args:
            kind: A ``PacketType``.
            number: The number of the item or frame that the packet concerns.
            body: The payload.
        """
        with contextlib.suppress(OSError):  # as in `_send_some`
            for buffer in _buffers(kind, number, body):
                self._socket.sendall(buffer)


def refusal(size: int, kind: int, limits: Mapping[int, int]) -> str:
    """Return in words why a packet may not be received.

    Args:
        size: The size of its body, bytes.
        kind: Its type.
        limits: The largest body of each type that may be received.
    """
    if kind not in limits:
        allowed = ', '.join(map(str, sorted(limits)))
        return f'found a packet of type {kind}; allowed: {allowed}'
    return f'found a packet of type {kind} and {size:,} bytes; allowed: {limits[kind]:,}'


def _buffers(kind: int, number: int, body: bytes) -> tuple[bytes, ...]:
    """Return a packet's bytes, without copying a large body."""
    header = HEADER.pack(len(body), kind, number)
    return (header + body,) if len(body) < _CHUNK else (header, body)


def listen(path: Path) -> socket.socket:
    """Return a non-blocking socket that listens at ``path``, replacing an old one.

    Raises OSError.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        path.unlink(missing_ok=True)
        with _address(path) as address:
            listener.bind(address)
        listener.listen(1024)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def connect(path: Path) -> Channel | None:
    """Return a channel to the process that listens at ``path``; None if none accepts now.

    Without waiting: a manager that is stopped, or has too many connections, would hold the caller.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    connection.setblocking(False)
    try:
        with _address(path) as address:
            connection.connect(address)
    except OSError:
        connection.close()
        return None
    connection.setblocking(True)
    return Channel(connection, FROM_MANAGER)


@contextlib.contextmanager
def _address(path: Path) -> Iterator[str]:
    """Yield the path, or a short alias of one that is too long for a socket's address."""
    if len(os.fsencode(path)) <= _MAX_ADDRESS_LENGTH:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_CLOEXEC)
    try:
        yield f'/proc/self/fd/{folder}/{path.name}'
    finally:
        os.close(folder)
