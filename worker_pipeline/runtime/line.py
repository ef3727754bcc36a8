"""A line: the connection between a stage and one of its workers.

A stream socket of this machine that carries frames, each a kind, a number and a body of any size.
It is there as soon as the process is, with nothing to be discovered; it keeps the order and loses
nothing; and what was sent before a death can still be read after it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections import deque
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

# From a worker to its stage:
HELLO = 1  # who it is, and what it has; the first of all
STATE = 2  # its lifecycle state, and how it stands
OUTPUT = 3  # the answer to an item: a message
OUTCOME = 4  # or that there is none, and why
LOOKS_AT = 7  # the frames that it was given and has not let go of
# From a stage to its worker:
ITEM = 5
REQUEST = 6  # of a lifecycle transition
RELEASE = 8  # frames of its own that nobody needs any more
NEEDED = 9  # those that somebody does, of all that it had answered with when it said hello

_HEAD = struct.Struct('<IIQ')  # size of the body, kind, number
# As plain numbers: to put two flags of an enum together takes longer than a call of the kernel.
_NOW = int(socket.MSG_DONTWAIT)
_NOW_OR_NEVER = int(socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
_CHUNK = 256 * 1024
_CHUNKS = 16
_AT_ONCE = 64  # parts of frames that are sent
# The kernel takes no longer one as a socket's address.
_LONGEST_PATH = 100


class Frame(NamedTuple):
    """What is said at once."""

    kind: int
    number: int
    body: bytes


class Line:
    """One end. What is sent without waiting is kept here until the other end has room for it."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._rest = b''  # the beginning of a frame
        # The body of a large one, in place; how much of it has come; and its kind and number.
        self._large: bytearray | None = None
        self._filled = 0
        self._head = (0, 0)
        self._unsent: deque[bytes | memoryview] = deque()
        self.ended = False  # nothing more comes, and nothing more arrives

    def fileno(self) -> int:
        """The socket's descriptor; -1 when it is closed."""
        return self._socket.fileno()

    @property
    def peer_pid(self) -> int:
        """The pid of the process at the other end, from the kernel."""
        size = struct.calcsize('3i')
        credentials = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
        return int(struct.unpack('3i', credentials)[0])

    def close(self) -> None:
        """Hang up; what was not sent is dropped."""
        self.ended = True
        self._unsent.clear()
        self._socket.close()

    # -- hearing ---------------------------------------------------------------------------------

    def receive(self, *, everything: bool = False) -> list[Frame]:
        """The frames that have come whole, without waiting. ``ended`` tells if there is no more.

        Not all at once, so that a worker that says much leaves the others their turn; but for
        ``everything``.
        """
        frames: list[Frame] = []
        turns = 0
        while self._receive_some(frames, everything=everything):
            turns += 1
            if turns == _CHUNKS and not everything:
                break
        return frames

    def _receive_some(self, frames: list[Frame], *, everything: bool) -> bool:
        """Take what is there now; returns whether there may be more."""
        if self.ended:
            return False
        try:
            if self._large is not None:
                with memoryview(self._large) as large, large[self._filled :] as room:
                    count = self._socket.recv_into(room, 0, _NOW)
            else:
                data = self._socket.recv(_CHUNK, _NOW)
                count = len(data)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            count = 0  # reset by the other's death
        if not count:
            self.ended = True
            return False
        if self._large is None:
            self._split(self._rest + data if self._rest else data, frames)
            # Less than there was room for: that was all, for now.
            return everything or count == _CHUNK or self._large is not None
        self._filled += count
        if self._filled == len(self._large):
            frames.append(Frame(*self._head, bytes(self._large)))
            self._large = None
        return True

    def _split(self, data: bytes, frames: list[Frame]) -> None:
        at, end = 0, len(data)
        while end - at >= _HEAD.size:
            size, kind, number = _HEAD.unpack_from(data, at)
            body = at + _HEAD.size
            if body + size > end:
                if size > _CHUNK:
                    self._large = bytearray(size)
                    self._filled = end - body
                    self._large[: self._filled] = memoryview(data)[body:]
                    self._head, at = (kind, number), end
                break
            frames.append(Frame(kind, number, data[body : body + size]))
            at = body + size
        self._rest = data[at:]

    # -- saying ----------------------------------------------------------------------------------

    @property
    def is_full(self) -> bool:
        """Whether something waits to be sent: ``flush`` when the socket can be written to."""
        return bool(self._unsent)

    def put(self, kind: int, number: int = 0, body: bytes = b'') -> None:
        """Have a frame sent by the next ``flush``. To whoever has hung up it is lost."""
        if not self.ended:
            self._unsent.extend(_parts(kind, number, body))

    def flush(self) -> None:
        """Send what there is room for."""
        unsent = self._unsent
        while unsent:
            count = self._send_some([*islice(unsent, _AT_ONCE)])
            if not count:
                return
            while count:
                first = unsent.popleft()
                if count < len(first):
                    unsent.appendleft(memoryview(first)[count:])
                    return
                count -= len(first)

    def _send_some(self, parts: list[bytes | memoryview]) -> int:
        """Send what there is room for, and return how much; what is for the dead counts as sent."""
        try:
            return self._socket.sendmsg(parts, (), _NOW_OR_NEVER)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            # The end is seen by whoever reads: there may be something to be read yet.
            return sum(len(part) for part in parts)

    def send_all(self, kind: int, number: int = 0, body: bytes = b'') -> None:
        """Send a frame, and wait until the other end has room for it."""
        with contextlib.suppress(OSError):  # as above
            for part in _parts(kind, number, body):
                self._socket.sendall(part)


def _parts(kind: int, number: int, body: bytes) -> tuple[bytes, ...]:
    """A frame's bytes; a large body is not copied for it."""
    head = _HEAD.pack(len(body), kind, number)
    return (head + body,) if len(body) < _CHUNK else (head, body)


def listen(path: Path) -> socket.socket:
    """A socket that takes connections at a path; what was there goes. Raises OSError."""
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


def connect(path: Path) -> Line | None:
    """A line to whoever listens at a path; None where nobody does."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        with _address(path) as address:
            connection.connect(address)
    except OSError:
        connection.close()
        return None
    return Line(connection)


@contextlib.contextmanager
def _address(path: Path) -> Iterator[str]:
    """The path, or a shorter way there."""
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_CLOEXEC)
    try:
        yield f'/proc/self/fd/{folder}/{path.name}'
    finally:
        os.close(folder)
