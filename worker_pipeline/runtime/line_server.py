"""The manager's end of all lines: takes connections, and tells of what is said.

A thread waits for sockets and does nothing else; everything is read and told on the manager's own
thread, whose executor knows nothing of sockets.
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

_ONCE = select.EPOLLIN | select.EPOLLONESHOT


class LineServer:
    """Listens at ``path``. To be used on one thread, the one on which ``call_soon`` calls.

    ``call_soon``: has a function called on that thread, and may be called from any.
    ``on_hello``: called with a new line and its first frame; returns who is to be given each
    further frame, or None to hang up. Raises OSError where nobody can listen there.
    """

    def __init__(
        self,
        path: Path,
        call_soon: Callable[[Callable[[], None]], Any],
        on_hello: Callable[[Line, Frame], Callable[[Frame], None] | None],
    ) -> None:
        self._path = path
        self._call_soon = call_soon
        self._on_hello = on_hello
        self._lines: dict[int, Line] = {}
        self._takers: dict[int, Callable[[Frame], None]] = {}
        self._ready: list[int] = []
        self._called = False
        self._closed = False
        self._listener = line.listen(path)
        self._end = os.eventfd(0, os.EFD_CLOEXEC)
        self._epoll = select.epoll()
        self._epoll.register(self._end, select.EPOLLIN)
        self._epoll.register(self._listener, _ONCE)
        self._thread = threading.Thread(target=self._wait, name='lines', daemon=True)
        self._thread.start()

    def _wait(self) -> None:
        while True:
            ready = [descriptor for descriptor, _ in self._epoll.poll()]
            if self._end in ready:
                return
            self._ready += ready
            if not self._called:
                self._called = True
                self._call_soon(self._serve)

    def _serve(self) -> None:
        self._called = False
        ready, self._ready = self._ready, []
        for descriptor in ready:
            if self._closed:
                return
            if descriptor == self._listener.fileno():
                self._accept()
            elif descriptor in self._lines:
                self.read(self._lines[descriptor])

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                accepted = self._lines[connection.fileno()] = Line(connection)
                self._epoll.register(accepted, _ONCE)
        self._epoll.modify(self._listener, _ONCE)

    def read(self, of: Line, *, to_the_end: bool = False) -> None:
        """Tell of what a worker has said; ``to_the_end``: of all, as it will say no more."""
        descriptor = of.fileno()
        if self._lines.get(descriptor) is not of:
            return
        if of.is_full:
            of.flush()
        for frame in of.receive(everything=to_the_end):
            self._tell(descriptor, of, frame)
            if of.fileno() < 0:
                return  # somebody has hung up meanwhile
        if of.ended or to_the_end:
            self.hang_up(of)
        else:
            self._epoll.modify(of, _ONCE | (select.EPOLLOUT if of.is_full else 0))

    def _tell(self, descriptor: int, of: Line, frame: Frame) -> None:
        taker = self._takers.get(descriptor)
        if taker is not None:
            taker(frame)
            return
        taker = self._on_hello(of, frame) if frame.kind == line.HELLO else None
        if taker is None:
            self.hang_up(of)
        elif of.fileno() >= 0:
            self._takers[descriptor] = taker

    def send(self, to: Line, kind: int, number: int = 0, body: bytes = b'') -> None:
        """Send a frame; what finds no room is sent as soon as there is some."""
        to.send(kind, number, body)
        if to.is_full and to.fileno() in self._lines:
            self._epoll.modify(to, _ONCE | select.EPOLLOUT)

    def hang_up(self, on: Line) -> None:
        """End a line."""
        descriptor = on.fileno()
        if self._lines.get(descriptor) is on:
            del self._lines[descriptor]
            self._takers.pop(descriptor, None)
            self._epoll.unregister(on)
        on.close()

    def close(self) -> None:
        """End all lines, and listen no more."""
        if self._closed:
            return
        self._closed = True
        os.eventfd_write(self._end, 1)
        self._thread.join()
        for each in list(self._lines.values()):
            self.hang_up(each)
        self._listener.close()
        self._path.unlink(missing_ok=True)
        self._epoll.close()
        os.close(self._end)
