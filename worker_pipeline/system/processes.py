# SPDX-License-Identifier: Apache-2.0
"""Worker processes: forked from a fork server, watched through pidfds.

The fork server has already imported rclpy, so a worker starts in milliseconds. A pidfd signals a
process's exit at once, even to a process that is not its parent. A worker counts as exited when
everything that it has started has exited too: until then its replacement could not have the devices
and locks that it held.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import select
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

from worker_pipeline.system import fork_child
from worker_pipeline.system.fork_client import (
    ExitReport,
    ForkFailedError,
    ForkServerClient,
    KeptServer,
)
from worker_pipeline.system.leftovers import describe_leftovers
from worker_pipeline.system.proc import exit_code_of, start_of
from worker_pipeline.system.temporary_folder import forbid_abstract_sockets, shorten_socket_paths

# How long to wait for the fork server's report on a process that has exited, s: longer than it
# waits for what the process has left behind, even if it has to be started again.
REPORT_TIMEOUT = 20.0
# How often to look whether the fork server can report at all, s.
REPORT_PERIOD = 0.1


def exit_reason(exit_code: int | None) -> str:
    """Return a description of an exit code: ``killed by SIGKILL``, ``exit code 3``."""
    if exit_code is None or exit_code == 255:
        return 'ended, status unknown' if exit_code is None else 'exit code 255'
    if exit_code < 0:
        try:
            return f'killed by {signal.Signals(-exit_code).name}'
        except ValueError:
            return f'killed by signal {-exit_code}'
    return f'exit code {exit_code}'


class WorkerProcess:
    """One process and its pidfd. ``pidfd`` is closed when the process and its tree are gone."""

    def __init__(self, pid: int, *, is_helper: bool = False) -> None:
        self.pid = pid
        self.is_helper = is_helper  # short-lived, and waited for by the one who has started it
        self.start = start_of(pid) or 0  # in clock ticks since boot; 0: it has exited
        self.pidfd: int | None = None
        # A process that has exited and is reaped already has no pidfd.
        with contextlib.suppress(ProcessLookupError):
            self.pidfd = os.pidfd_open(self.pid)
        self.exit_seen_at: float | None = None if self.pidfd is not None else time.monotonic()
        self.exit_code: int | None = None
        self.left_behind = ''  # what became of the processes that it left behind, in words
        self._exited = threading.Event()
        # One thread signals, another one closes: in between, the number may stand for another file.
        self._pidfd_lock = threading.Lock()

    def send_signal(self, number: signal.Signals) -> None:
        """Signal the process, never another one that has been given its pid."""
        with self._pidfd_lock:
            if self.pidfd is not None:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(self.pidfd, number)

    def join(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds until it and its tree are gone; return whether it is."""
        return self._exited.wait(timeout)

    def close(self) -> None:
        """Forget the process, which has exited."""
        with self._pidfd_lock:
            if self.pidfd is not None:
                os.close(self.pidfd)
                self.pidfd = None
        self._exited.set()


class Launcher:
    """Forks workers and reports their exits.

    Args:
        preload: The module that the fork server imports for all workers.
        on_exit: Called with a worker's pid and the reason of its exit, on the watching thread.
        get_kept_server: As in ``ForkServerClient``.
        on_left_behind: Called before, with a worker's pid, and with which processes it has left
            behind and what became of them, in words; and how many they are.
    """

    def __init__(
        self,
        preload: str,
        on_exit: Callable[[int, str], None],
        on_left_behind: Callable[[int, str, int], None] = lambda _pid, _text, _count: None,
        get_kept_server: Callable[[], KeptServer | None] = lambda: None,
    ) -> None:
        self._on_exit = on_exit
        self._on_left_behind = on_left_behind
        self._server = ForkServerClient(preload, get_kept_server)
        self._server_lock = threading.RLock()
        self._processes: dict[int, WorkerProcess] = {}
        self._by_pidfd: dict[int, WorkerProcess] = {}
        # Reports on processes of which this one does not know yet that they were forked.
        self._early: dict[int, ExitReport] = {}
        # Starts by pid, of processes whose exit was reported here although no server had: it was
        # stopped, and what they have left behind may still be there.
        self._unreported: dict[int, int] = {}
        self._lock = threading.Lock()
        self._epoll = select.epoll()
        self._registered = -1  # the descriptor of the connection to the fork server
        self._lost = 0  # the number of the server that has exited
        self._wake_event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._is_closing = False
        self._epoll.register(self._wake_event, select.EPOLLIN)
        self._thread = threading.Thread(target=self._watch, name='process_watcher', daemon=True)

    def open(self) -> None:
        """Start the fork server and the watching thread.

        Raises OSError where it cannot be started, or there is no folder for its sockets.
        """
        forbid_abstract_sockets()
        shorten_socket_paths()
        self._server.open()
        self._thread.start()

    def pipe(self, *, duplex: bool = False) -> tuple[Any, Any]:
        """Return a pipe, (receiver, sender); ``duplex``: both ends send and receive."""
        return multiprocessing.Pipe(duplex)

    def start_helper(self, target: Callable[..., None], args: tuple[Any, ...]) -> WorkerProcess:
        """Fork a short-lived process, of which the caller awaits the exit.

        Raises ForkFailedError.
        """
        return self._start(target, args, 'helper', is_helper=True)

    def start(self, target: Callable[..., None], args: tuple[Any, ...], name: str) -> WorkerProcess:
        """Fork a worker and watch it.

        Args:
            target: The function that the worker runs.
            args: Its arguments.
            name: The name of the process.

        Raises:
            ForkFailedError: The worker cannot be forked.
        """
        return self._start(target, args, name, is_helper=False)

    def _start(
        self, target: Callable[..., None], args: tuple[Any, ...], name: str, *, is_helper: bool
    ) -> WorkerProcess:
        try:
            packed, descriptors = fork_child.pack(target, args, name)
        except OSError as error:
            raise ForkFailedError.of(error) from None
        try:
            with self._server_lock:
                self._early.clear()
                try:
                    pid = self._server.start(packed, descriptors)
                except ForkFailedError as error:
                    if not error.server_is_lost:
                        raise
                    self._restart_server()
                    pid = self._server.start(packed, descriptors)
                return self._watched(self._opened(pid, is_helper=is_helper))
        finally:
            os.close(packed)

    def _opened(self, pid: int, *, is_helper: bool = False) -> WorkerProcess:
        """Return a process that was just forked; end it if it cannot be watched."""
        try:
            return WorkerProcess(pid, is_helper=is_helper)
        except OSError as error:  # no more files can be opened
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            raise ForkFailedError.of(error) from None

    def adopt(self, pid: int) -> WorkerProcess:
        """Watch a worker that an earlier manager has started."""
        worker = self._watched(WorkerProcess(pid))
        with self._server_lock, contextlib.suppress(ForkFailedError):  # the next one is asked again
            self._server.watch(pid, worker.start)
        return worker

    def _watched(self, worker: WorkerProcess) -> WorkerProcess:
        with self._lock:
            report = self._early.pop(worker.pid, None)
            if report is None:
                self._processes[worker.pid] = worker
                if worker.pidfd is not None:
                    self._by_pidfd[worker.pidfd] = worker
                    self._epoll.register(worker.pidfd, select.EPOLLIN)
                else:
                    self._wake()
        if report is not None:
            self._finish(worker, report)
        return worker

    @property
    def is_running(self) -> bool:
        """Return whether the watching thread is alive; without it no exit is noticed."""
        return self._thread.is_alive()

    @property
    def helper_pids(self) -> list[int]:
        """Return the pid of the fork server, which outlives the manager if a worker does."""
        return [self._server.pid] if self._server.pid else []

    def send_signal(self, pid: int, number: signal.Signals) -> None:
        """Signal a watched worker that has not been reaped."""
        with self._lock:
            worker = self._processes.get(pid)
            if worker is not None:
                worker.send_signal(number)

    def close(self) -> None:
        """Stop watching, and end the fork server, its workers and all that they have started."""
        self._is_closing = True
        self._wake()
        self._thread.join()
        # No worker is left after a regular stop, but some may be after an error.
        for worker in self._processes.values():
            worker.send_signal(signal.SIGKILL)
        self._server.close()
        for worker in self._processes.values():
            worker.close()
        self._processes.clear()
        self._by_pidfd.clear()
        os.close(self._wake_event)
        self._epoll.close()

    # -- the watching thread ---------------------------------------------------------------------

    def _wake(self) -> None:
        os.eventfd_write(self._wake_event, 1)

    def _watch(self) -> None:
        while not self._is_closing:
            self._connect()
            for descriptor, _ in self._epoll.poll(self._timeout()):
                if descriptor == self._wake_event:
                    os.eventfd_read(self._wake_event)
                elif descriptor == self._registered:
                    self._receive()
                else:
                    self._exit_seen(descriptor)
            self._report_without_server()

    def _timeout(self) -> float | None:
        with self._lock:
            awaits = any(each.exit_seen_at is not None for each in self._processes.values())
        return REPORT_PERIOD if awaits or self._registered < 0 else None

    def _connect(self) -> None:
        """Wait for the present fork server too; start another one if it has exited."""
        if not self._server_lock.acquire(blocking=False):
            return  # a worker is being started, and a server if necessary
        try:
            if self._server.number == self._lost and self._server.may_start:
                self._restart_server()
            if self._registered < 0 and self._server.number != self._lost:
                self._registered = self._server.fileno()
                self._epoll.register(self._registered, select.EPOLLIN)
        finally:
            self._server_lock.release()

    def _restart_server(self) -> None:
        """Start another fork server, and have it watch the workers of the one that has exited."""
        self._server.discard()
        self._registered = -1
        try:
            self._server.open()
        except OSError:  # tried again later
            self._lost = self._server.number
        with self._lock:
            watched = [(each.pid, each.start) for each in self._processes.values()]
            watched += self._unreported.items()
        with contextlib.suppress(ForkFailedError):  # it is lost as well
            for pid, start in watched:
                self._server.watch(pid, start)
        self._wake()

    def _receive(self) -> None:
        number = self._server.number
        try:
            reports = self._server.receive()
        except OSError:
            self._lost, descriptor, self._registered = number, self._registered, -1
            # Closed, or -1, where a start has replaced the server already.
            with contextlib.suppress(OSError, ValueError):
                self._epoll.unregister(descriptor)
            return
        for report in reports:
            with self._lock:
                worker = self._processes.pop(report.pid, None) if report.is_exit else None
                is_late = self._unreported.pop(report.pid, None) is not None
                if worker is None and report.is_exit and not is_late:
                    self._early[report.pid] = report
                    continue
            if worker is not None:
                self._finish(worker, report)
            elif report.left_behind:
                self._tell_left_behind(report)

    def _exit_seen(self, pidfd: int) -> None:
        with self._lock:
            worker = self._by_pidfd.pop(pidfd, None)
            if worker is not None:
                self._epoll.unregister(pidfd)
                worker.exit_seen_at = time.monotonic()
                # As long as its parent has not reaped it; the report may come without it.
                worker.exit_code = exit_code_of(worker.pid)

    def _report_without_server(self) -> None:
        """Report exits on which the fork server does not report, as it has been stopped."""
        with self._lock:
            awaited = [each for each in self._processes.values() if each.exit_seen_at is not None]
        if not awaited:
            return
        is_stopped = self._server.is_stopped
        for worker in awaited:
            waited = time.monotonic() - (worker.exit_seen_at or 0.0)
            if waited > REPORT_TIMEOUT or (is_stopped and waited > REPORT_PERIOD):
                with self._lock:
                    found = self._processes.pop(worker.pid, None)
                if found is not None:
                    self._unreported[worker.pid] = worker.start
                    self._finish(worker, ExitReport(worker.pid, True, worker.exit_code, [], ''))

    def _finish(self, worker: WorkerProcess, report: ExitReport) -> None:
        with self._lock:
            if worker.pidfd is not None and self._by_pidfd.pop(worker.pidfd, None) is not None:
                self._epoll.unregister(worker.pidfd)
        worker.exit_code = report.code if report.code is not None else worker.exit_code
        if report.left_behind:
            worker.left_behind = describe_leftovers(report.left_behind, report.outcome)
            if not worker.is_helper:
                self._tell_left_behind(report)
        worker.close()
        if not worker.is_helper:
            self._on_exit(worker.pid, exit_reason(worker.exit_code))

    def _tell_left_behind(self, report: ExitReport) -> None:
        text = describe_leftovers(report.left_behind, report.outcome)
        self._on_left_behind(report.pid, text, len(report.left_behind))
