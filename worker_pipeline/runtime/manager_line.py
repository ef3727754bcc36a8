"""A worker's end of its line: to the manager there is, and to the next one when that is dead."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from worker_pipeline.runtime import line
from worker_pipeline.runtime.line import Frame, Line


class ManagerLine:
    """Any thread may send, connect and read; one, the main thread, waits.

    ``hello``: what is said first to each manager. ``take``: called with each frame that came, on
    whichever thread reads, never on two at once.
    """

    def __init__(
        self, path: Path, hello: Callable[[], Iterable[Frame]], take: Callable[[Frame], None]
    ) -> None:
        self._path = path
        self._hello = hello
        self._take = take
        self._line: Line | None = None
        self._sending, self._reading = threading.Lock(), threading.Lock()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._bell, select.POLLIN)
        self._polled: Line | None = None
        self._former: list[Line] = []

    @property
    def connected(self) -> bool:
        """Whether there is somebody at the other end, as far as is known."""
        return self._line is not None and not self._line.ended

    def connect(self) -> bool:
        """Connect to the manager that listens now, if one does, and say hello; whether it did."""
        fresh = line.connect(self._path)
        if fresh is None:
            return False
        self.read(everything=True)  # what an earlier one has said
        with self._sending:
            # Whatever is said from now on comes after the hello, which tells of all before.
            if self._line is not None:
                self._former.append(self._line)
            self._line = fresh
            for frame in self._hello():
                fresh.send_all(*frame)
        self.ring()
        return True

    def send(self, kind: int, number: int = 0, body: bytes = b'') -> None:
        """Say something; where nobody is, nothing."""
        with self._sending:
            if self._line is not None and not self._line.ended:
                self._line.send_all(kind, number, body)

    def read(self, *, everything: bool = False) -> None:
        """Take what has come; ``everything``: before there is nobody any more to say it again."""
        with self._reading:
            if self._line is not None:
                for frame in self._line.receive(everything=everything):
                    self._take(frame)

    def fetch(self, *, wait: bool) -> None:
        """Take what has come; ``wait``: as soon as something has, or somebody rings.

        The main thread's.
        """
        if wait:
            self._wait()
        self.read()

    def ring(self) -> None:
        """Have the main thread wait no longer."""
        os.eventfd_write(self._bell, 1)

    def _wait(self) -> None:
        current = self._line if self.connected else None
        if current is not self._polled:
            if self._polled is not None:
                self._poll.unregister(self._polled)
            self._polled = current
            if current is not None:
                self._poll.register(current, select.POLLIN)
            while self._former:
                self._former.pop().close()  # here, as nobody waits for it now
        if any(descriptor == self._bell for descriptor, _ in self._poll.poll()):
            os.eventfd_read(self._bell)

    def close(self) -> None:
        """Hang up for good. Nobody waits or reads any more."""
        with self._sending:
            for each in (self._line, *self._former):
                if each is not None:
                    each.close()
        os.close(self._bell)
