# SPDX-License-Identifier: Apache-2.0
"""The manager's end of the connection to its fork server, which is started again if it dies."""

from __future__ import annotations

import contextlib
import errno
import json
import marshal
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

from worker_pipeline.system import fork_server
from worker_pipeline.system.fork_server import CLOSE, START, STARTED, WATCH, WATCHED
from worker_pipeline.system.proc import is_stopped

# How long a fork may take, s: a new server first imports rclpy.
START_TIMEOUT = 30.0
# The same where a signal has stopped the server, s.
STOPPED_TIMEOUT = 1.0
# How long the server may take to end what is left when it is closed, s.
CLOSE_TIMEOUT = 5.0
# A server that exits sooner after its start is not started again at once, s.
RESTART_DELAY = 1.0
MAX_REPORT = 1 << 20


class ExitReport(NamedTuple):
    """The exit of a worker, and of all that it has left behind."""

    pid: int
    is_exit: bool  # False: what was found only later, of a worker whose exit was reported before
    code: int | None
    left_behind: list[tuple[int, str]]  # pids and names
    outcome: str  # what became of these


class ForkServerClient:
    """Starts the fork server, and exchanges packets with it. Calls have to be serialised.

    Args:
        preload: The module that the server imports for all workers.
        in_server: Called first in a server that is forked from this process.
    """

    def __init__(self, preload: str, in_server: Callable[[], None]) -> None:
        self._preload = preload
        self._in_server = in_server
        self._control: socket.socket | None = None
        self._started_at = float('-inf')
        self.pid = 0
        self.number = 0  # of the server: each has another

    def open(self, *, inherit_imports: bool = False) -> None:
        """Start the server.

        ``inherit_imports``: fork it from this process, with all that it has imported, instead of
        starting a new interpreter. Only for a process that has no other thread yet.
        """
        self._started_at = time.monotonic()
        self.number += 1
        self._control, end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with end:
            self.pid = self._fork(end) if inherit_imports else self._spawn(end)

    def _fork(self, end: socket.socket) -> int:
        pid = os.fork()
        if pid:
            return pid
        try:
            self._in_server()
            assert self._control is not None, 'made by open()'
            self._control.close()
            fork_server.main(end.detach(), self._preload)
            os._exit(0)
        finally:
            os._exit(1)

    def _spawn(self, end: socket.socket) -> int:
        path = json.dumps(sys.path)
        code = (
            f'import json, sys; sys.path[:] = json.loads({path!r}); '
            f'from worker_pipeline.system.fork_server import main; '
            f'main({end.fileno()}, {self._preload!r})'
        )
        return os.posix_spawn(
            sys.executable,
            [sys.executable, '-c', code],
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, end.fileno(), end.fileno())],
        )

    def fileno(self) -> int:
        """Return the socket's descriptor, -1 while there is no server."""
        return self._control.fileno() if self._control is not None else -1

    @property
    def may_start(self) -> bool:
        """Return whether a server may be started, as the last one was not started just now."""
        return time.monotonic() - self._started_at > RESTART_DELAY

    @property
    def is_stopped(self) -> bool:
        """Return whether a signal has stopped the server."""
        return bool(self.pid) and is_stopped(self.pid)

    def start(self, packed: int, descriptors: list[int]) -> int:
        """Fork a process and return its pid.

        Args:
            packed: A descriptor of what it is to run, from ``fork_child.pack``.
            descriptors: Those of the connections in it.

        Raises:
            OSError: It cannot be forked.
        """
        receiver, sender = os.pipe()
        try:
            try:
                self._send(START, [packed, sender, *descriptors])
            finally:
                os.close(sender)
            self._await_answer(receiver)
            answer = os.read(receiver, STARTED.size)
        finally:
            os.close(receiver)
        if len(answer) < STARTED.size:
            raise ConnectionResetError(errno.ECONNRESET, 'the fork server has exited')
        pid: int = STARTED.unpack(answer)[0]
        if pid < 0:
            raise OSError(-pid, os.strerror(-pid))
        return pid

    def _await_answer(self, receiver: int) -> None:
        poll = select.poll()
        poll.register(receiver, select.POLLIN)
        begin = time.monotonic()
        while not poll.poll(STOPPED_TIMEOUT * 1e3):
            if self.is_stopped:
                raise TimeoutError(errno.ETIMEDOUT, 'the fork server is stopped')
            if time.monotonic() - begin > START_TIMEOUT:
                raise TimeoutError(errno.ETIMEDOUT, 'the fork server does not answer')

    def watch(self, pid: int, start: int) -> None:
        """Have the exit of a process reported that another server has forked.

        Args:
            pid: Its pid.
            start: When it was started, in clock ticks since boot; 0: it has exited.
        """
        with contextlib.suppress(OSError):
            self._send(WATCH + WATCHED.pack(pid, start), [])

    def _send(self, request: bytes, descriptors: list[int]) -> None:
        if self._control is None:
            raise ConnectionResetError(errno.ECONNRESET, 'there is no fork server')
        socket.send_fds(self._control, [request], descriptors, socket.MSG_NOSIGNAL)

    def receive(self) -> list[ExitReport]:
        """Return the reports that have arrived. Raises ConnectionError if the server has exited."""
        reports: list[ExitReport] = []
        control = self._control  # another thread may put another server in its place
        while control is not None:
            try:
                data = control.recv(MAX_REPORT, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return reports
            if not data:
                if reports:
                    return reports  # the next call finds the end again
                raise ConnectionResetError(errno.ECONNRESET, 'the fork server has exited')
            reports.append(ExitReport(*marshal.loads(data)))
        return reports

    def discard(self) -> None:
        """Forget a server that has exited, or is not to be used any more."""
        if self._control is not None:
            self._control.close()
            self._control = None
        if self.pid:
            _end(self.pid, 0.0)
            self.pid = 0

    def close(self) -> None:
        """Have the server end all its processes and exit; wait for that."""
        with contextlib.suppress(OSError):
            self._send(CLOSE, [])
        if self.pid:
            _end(self.pid, CLOSE_TIMEOUT)
            self.pid = 0
        self.discard()


def _end(pid: int, timeout: float) -> None:
    """Reap a child, which is killed when it has not exited by itself.

    Args:
        pid: Its pid.
        timeout: How long to wait before, s.
    """
    with contextlib.suppress(ProcessLookupError):
        pidfd = os.pidfd_open(pid)
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        if not poll.poll(timeout * 1e3):
            os.kill(pid, signal.SIGKILL)
        os.close(pidfd)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)
