"""The manager's end of all lines: takes connections, and tells of what is said.

Everything is read and told on the manager's own thread, whose executor knows nothing of sockets.
Another thread waits for them when there is nothing to be read, and does nothing else: while there
is much to do, it sleeps, and costs nothing.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from worker_pipeline.runtime import line
from worker_pipeline.runtime.line import Frame, Line

# Who is given what a worker has said since it was heard last.
Taker = Callable[[list[Frame]], None]


class LineServer:
    """Listens at ``path``. To be used on one thread, the one on which ``call_soon`` calls.

    ``call_soon``: has a function called on that thread, and may be called from any.
    ``on_hello``: called with a new line and its first frame; returns who is to be given all
    further ones, or None to hang up. Raises OSError where nobody can listen there.
    """

    def __init__(
        self,
        path: Path,
        call_soon: Callable[[Callable[[], None]], Any],
        on_hello: Callable[[Line, Frame], Taker | None],
    ) -> None:
        self._path = path
        self._call_soon = call_soon
        self._on_hello = on_hello
        self._lines: dict[int, Line] = {}
        self._takers: dict[int, Taker] = {}
        self._full: set[int] = set()
        # Who is to be sent something when what was just read has been told; None: at once.
        self._put_off: dict[int, Line] | None = None
        self._closed = False
        self._listener = line.listen(path)
        self._end = os.eventfd(0, os.EFD_CLOEXEC)
        self._epoll = select.epoll()
        self._epoll.register(self._end, select.EPOLLIN)
        self._epoll.register(self._listener, select.EPOLLIN)
        # Free when all is read. A plain lock: taking a semaphore takes longer than what it is for.
        self._all_read = threading.Lock()
        self._all_read.acquire()
        self._thread = threading.Thread(target=self._wait, name='lines', daemon=True)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Whether the thread lives without which nothing is heard."""
        return self._thread.is_alive()

    def _wait(self) -> None:
        while True:
            self._epoll.poll()
            if self._closed:
                return
            self._call_soon(self._serve)
            self._all_read.acquire()

    def _serve(self) -> None:
        """Read what has come; again when the others had their turn, until nothing has."""
        if self._closed:
            return
        ready = self._epoll.poll(0)
        try:
            for descriptor, _ in ready:
                if descriptor == self._listener.fileno():
                    self._accept()
                elif descriptor in self._lines:
                    self.read(self._lines[descriptor])
        finally:
            # To be called once more only to find nothing would cost as much as what was read.
            if ready and self._epoll.poll(0):
                self._call_soon(self._serve)
            else:
                self._all_read.release()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                accepted = self._lines[connection.fileno()] = Line(connection)
                self._epoll.register(accepted, select.EPOLLIN)

    def read(self, of: Line, *, to_the_end: bool = False) -> None:
        """Tell of what a worker has said; ``to_the_end``: of all, as it will say no more."""
        descriptor = of.fileno()
        if self._lines.get(descriptor) is not of:
            return
        if of.is_full:
            self._flush(of)
        frames = of.receive(everything=to_the_end)
        if frames:
            self._put_off = {}
            try:
                self._tell(descriptor, of, frames)
            finally:
                self.ship()
                self._put_off = None
        if of.ended or to_the_end:
            self.hang_up(of)

    def _tell(self, descriptor: int, of: Line, frames: list[Frame]) -> None:
        taker = self._takers.get(descriptor)
        if taker is None:
            first, *frames = frames
            taker = self._on_hello(of, first) if first.kind == line.HELLO else None
            if taker is None:
                self.hang_up(of)
            if taker is None or of.fileno() < 0:
                return
            self._takers[descriptor] = taker
        taker(frames)

    def send(self, to: Line, kind: int, number: int = 0, body: bytes = b'') -> None:
        """Send a frame; what finds no room is sent as soon as there is some."""
        to.put(kind, number, body)
        if self._put_off is None:
            self._flush(to)
        else:
            self._put_off[to.fileno()] = to

    def ship(self) -> None:
        """Send now what is to be sent when all that a worker has said is heard."""
        while self._put_off:
            _, each = self._put_off.popitem()
            self._flush(each)

    def put_off(self, to: Line, kind: int, number: int = 0, body: bytes = b'') -> None:
        """Have a frame sent with the next one, or when this line is heard next.

        To wake a worker only for it would cost more than what it says is worth.
        """
        to.put(kind, number, body)

    def _flush(self, to: Line) -> None:
        to.flush()
        descriptor = to.fileno()
        if to.is_full is (descriptor in self._full) or descriptor not in self._lines:
            return
        if to.is_full:
            self._full.add(descriptor)
            self._epoll.modify(to, select.EPOLLIN | select.EPOLLOUT)
        else:
            self._full.discard(descriptor)
            self._epoll.modify(to, select.EPOLLIN)

    def hang_up(self, on: Line) -> None:
        """End a line."""
        descriptor = on.fileno()
        if self._lines.get(descriptor) is on:
            del self._lines[descriptor]
            self._takers.pop(descriptor, None)
            self._full.discard(descriptor)
            self._epoll.unregister(on)
        on.close()

    def close(self) -> None:
        """End all lines, and listen no more."""
        if self._closed:
            return
        self._closed = True
        os.eventfd_write(self._end, 1)
        with contextlib.suppress(RuntimeError):  # it is free, and about to be taken
            self._all_read.release()
        self._thread.join()
        for each in list(self._lines.values()):
            self.hang_up(each)
        self._listener.close()
        self._path.unlink(missing_ok=True)
        self._epoll.close()
        os.close(self._end)
