# SPDX-License-Identifier: Apache-2.0
"""The manager's end of the connection to its fork server, which is started again if it dies.

No call waits for long, whatever the server does: the executor's thread makes them, and while it
waits no worker is served.
"""

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
from typing import Any, NamedTuple

from worker_pipeline.system.descriptor_passing import send_packet
from worker_pipeline.system.fork_server import CLOSE, READY, START, STARTED, WATCH, WATCHED
from worker_pipeline.system.one_processor import of_process
from worker_pipeline.system.proc import is_stopped
from worker_pipeline.system.process_table import read_process

# How long a fork may take, s. It takes some milliseconds, on a machine with much other work some
# tens.
ANSWER_TIMEOUT = 1.0
# How often to look meanwhile whether a signal has stopped the server, s. The timeout is counted in
# these: the time in which this process itself stands still is not the server's.
ANSWER_PERIOD = 0.05
# How long the first server may take to import what workers need, s; the manager waits for it.
START_TIMEOUT = 30.0
# How long the server may take to end what is left when it is closed, s.
CLOSE_TIMEOUT = 5.0
# How long to wait for the exit of one that was killed, s.
KILL_TIMEOUT = 0.5
# A server that exits sooner after its start is not started again at once, s.
RESTART_DELAY = 1.0
MAX_REPORT = 1 << 20
MAX_PID = 1 << 22  # of Linux


class ForkFailedError(OSError):
    """A process could not be forked, for now.

    ``server_is_lost``: the fork server does not work any more, so another one is needed.
    """

    def __init__(self, number: int, text: str, *, server_is_lost: bool = False) -> None:
        super().__init__(number, text)
        self.server_is_lost = server_is_lost

    @classmethod
    def of(cls, error: OSError) -> ForkFailedError:
        """Return the error for one of the system's, such as that no more files can be opened."""
        return cls(error.errno or errno.EIO, error.strerror or str(error))


class ExitReport(NamedTuple):
    """The exit of a worker, and of all that it has left behind."""

    pid: int
    is_exit: bool  # False: what was found only later, of a worker whose exit was reported before
    code: int | None
    left_behind: list[tuple[int, str]]  # pids and names
    outcome: str  # what became of these


class KeptServer(NamedTuple):
    """A fork server that needs no start, as a guardian keeps it."""

    pid: int
    connection: socket.socket


class ForkServerClient:
    """Starts the fork server, and exchanges packets with it. Calls have to be serialised.

    Args:
        preload: The module that the server imports for all workers.
        get_kept_server: Returns one that a guardian keeps; None if there is none, so that a new
            interpreter is started.
    """

    def __init__(
        self, preload: str, get_kept_server: Callable[[], KeptServer | None] = lambda: None
    ) -> None:
        self._preload = preload
        self._get_kept_server = get_kept_server
        self._control: socket.socket | None = None
        self._started_at = float('-inf')
        self._is_ready = False  # it has imported all
        self.pid = 0
        self.number = 0  # of the server: each has another

    def open(self) -> None:
        """Start the server, or use one that a guardian keeps. Raises OSError."""
        self._started_at = time.monotonic()
        self.number += 1
        self._is_ready = False
        kept = self._get_kept_server()
        if kept is not None:
            self.pid, self._control = kept
            return
        self._control, end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with end:
            self.pid = self._spawn(end)

    def _spawn(self, end: socket.socket) -> int:
        path = json.dumps(sys.path)
        code = (
            f'import json, sys; sys.path[:] = json.loads({path!r}); '
            'from worker_pipeline.system.malloc import use_one_arena; use_one_arena(); '
            f'from worker_pipeline.system.fork_server import main; '
            f'main({end.fileno()}, {self._preload!r})'
        )
        with of_process.as_before():
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
            ForkFailedError: It cannot be forked.
        """
        try:
            receiver, sender = os.pipe()
        except OSError as error:
            raise ForkFailedError.of(error) from None
        try:
            try:
                passed = [packed, sender, *descriptors]
                self._send(START + bytes([len(passed)]), passed)
            finally:
                os.close(sender)
            self._await_answer(receiver)
            answer = os.read(receiver, STARTED.size + 1)
        finally:
            os.close(receiver)
        return self._pid_in(answer)

    def _pid_in(self, answer: bytes) -> int:
        """Return the pid that the server has answered; raise ForkFailedError if it is none."""
        if not answer and self._is_connected:
            text = 'the fork server cannot open as many files as that needs'
            raise ForkFailedError(errno.EMFILE, text)
        if not answer:
            text = 'the fork server has exited'
            raise ForkFailedError(errno.ECONNRESET, text, server_is_lost=True)
        pid: int = STARTED.unpack(answer)[0] if len(answer) == STARTED.size else 0
        if pid < 0:
            raise ForkFailedError(-pid, os.strerror(-pid))
        child = read_process(pid)
        if not 0 < pid <= MAX_PID or (child is not None and child.parent != self.pid):
            text = f'the fork server gives a wrong answer: {answer!r}'
            raise ForkFailedError(errno.EPROTO, text, server_is_lost=True)
        self._is_ready = True
        return pid

    @property
    def _is_connected(self) -> bool:
        """Return whether the server has not exited: the kernel closes its files one by one."""
        poll = select.poll()
        poll.register(self.fileno(), 0)  # for POLLHUP
        return not poll.poll(ANSWER_PERIOD * 1e3)

    def _await_answer(self, receiver: int) -> None:
        poll = select.poll()
        poll.register(receiver, select.POLLIN)
        timeout = ANSWER_TIMEOUT if self._is_ready or self.number > 1 else START_TIMEOUT
        for _ in range(round(timeout / ANSWER_PERIOD)):
            if poll.poll(ANSWER_PERIOD * 1e3):
                return
            if self.is_stopped:
                text = 'the fork server is stopped'
                raise ForkFailedError(errno.ETIMEDOUT, text, server_is_lost=True)
        is_late = self._is_ready or time.monotonic() - self._started_at > START_TIMEOUT
        text = 'the fork server does not answer' if is_late else 'a new fork server is starting'
        raise ForkFailedError(errno.ETIMEDOUT, text, server_is_lost=is_late)

    def watch(self, pid: int, start: int) -> None:
        """Have the exit of a process reported that another server has forked.

        Args:
            pid: Its pid.
            start: When it was started, in clock ticks since boot; 0: it has exited.

        Raises:
            ForkFailedError: The server does not take requests.
        """
        self._send(WATCH + WATCHED.pack(pid, start), [])

    def _send(self, request: bytes, descriptors: list[int]) -> None:
        if self._control is None:
            text = 'there is no fork server'
            raise ForkFailedError(errno.ECONNRESET, text, server_is_lost=True)
        try:
            send_packet(self._control, request, descriptors)
        except BlockingIOError:  # it has not read its requests for long
            text = 'the fork server takes no requests'
            raise ForkFailedError(errno.ETIMEDOUT, text, server_is_lost=True) from None
        except (ConnectionError, BrokenPipeError) as error:
            text = 'the fork server has exited'
            raise ForkFailedError(error.errno or 0, text, server_is_lost=True) from None
        except OSError as error:  # too many descriptors are on their way
            raise ForkFailedError.of(error) from None

    def receive(self) -> list[ExitReport]:
        """Return the reports that have arrived.

        Raises ForkFailedError if the server has exited, or does not send reports.
        """
        reports: list[ExitReport] = []
        control = self._control  # another thread may put another server in its place
        while control is not None:
            try:
                data = control.recv(MAX_REPORT, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return reports
            except OSError:
                data = b''
            if not data and reports:
                return reports  # the next call finds the end again
            if not data:
                text = 'the fork server has exited'
                raise ForkFailedError(errno.ECONNRESET, text, server_is_lost=True)
            reports += self._reports_in(data)
        return reports

    def _reports_in(self, data: bytes) -> list[ExitReport]:
        try:
            fields: Any = marshal.loads(data)
            if fields == READY:
                self._is_ready = True
                return []
            report = ExitReport(*fields)
            if isinstance(report.pid, int) and isinstance(report.left_behind, list):
                return [report]
        except (ValueError, EOFError, TypeError):
            pass
        text = f'the fork server sends no report: {data[:40]!r}'
        raise ForkFailedError(errno.EPROTO, text, server_is_lost=True)

    def discard(self) -> None:
        """Forget a server, which is killed if it has not exited."""
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
            # If it is stopped, or about to be, as it has to end what is left.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGCONT)
            _end(self.pid, CLOSE_TIMEOUT)
            self.pid = 0
        self.discard()


def _end(pid: int, timeout: float) -> None:
    """Wait for the exit of a fork server, which is killed when it has not exited by itself.

    Args:
        pid: Its pid.
        timeout: How long to wait before, s.
    """
    with contextlib.suppress(ProcessLookupError):
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            raise
        except OSError:  # no more files can be opened
            os.kill(pid, signal.SIGKILL)
        else:
            _end_by_pidfd(pidfd, timeout)
    with contextlib.suppress(ChildProcessError):  # it is a guardian's child
        os.waitpid(pid, os.WNOHANG)


def _end_by_pidfd(pidfd: int, timeout: float) -> None:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    try:
        if not poll.poll(timeout * 1e3):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            poll.poll(KILL_TIMEOUT * 1e3)
    finally:
        os.close(pidfd)
