"""Worker processes: forked from a fork server, watched through pidfds.

The fork server (standard library ``multiprocessing``) has imported rclpy already, so a worker
starts in milliseconds. A pidfd tells of a process's end at once, whoever its parent is.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from multiprocessing import forkserver, resource_tracker
from typing import Any

from worker_pipeline.runtime.proc import exit_code_of

# How long to wait for the exit status of a process that is known to be dead. It comes through the
# fork server, which may have died itself; then the process counts as dead all the same.
EXIT_STATUS_WAIT = 0.2


def exit_reason(exit_code: int | None) -> str:
    """Why a process ended, in words: ``killed by SIGKILL``, ``exit code 3``."""
    if exit_code is None or exit_code == 255:
        return 'ended, status unknown' if exit_code is None else 'exit code 255'
    if exit_code < 0:
        try:
            return f'killed by {signal.Signals(-exit_code).name}'
        except ValueError:
            return f'killed by signal {-exit_code}'
    return f'exit code {exit_code}'


class WorkerProcess:
    """One forked process and its pidfd. ``pidfd`` is closed when the process is reaped."""

    def __init__(self, pid: int, process: Any = None) -> None:
        self._process = process  # None: an earlier manager has started it
        self.pid = pid
        self.pidfd: int | None = None
        # A process that is gone already has no pidfd to be had.
        with contextlib.suppress(ProcessLookupError):
            self.pidfd = os.pidfd_open(self.pid)

    def send_signal(self, number: signal.Signals) -> None:
        """Signal the process; nothing happens to a stranger that has got its pid meanwhile."""
        if self.pidfd is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.pidfd, number)

    def reap(self) -> str:
        """Collect the status of a process that has ended, and say why it did."""
        if self.pidfd is not None:
            os.close(self.pidfd)
            self.pidfd = None
        if self._process is None:
            return exit_reason(None)
        self._process.join(EXIT_STATUS_WAIT)
        reason = exit_reason(self._process.exitcode)
        with contextlib.suppress(ValueError):
            self._process.close()
        return reason


class Launcher:
    """Forks workers and tells of their ends.

    ``preload`` is the module that the fork server imports; every worker is born with it.
    ``on_exit`` is called with (pid, reason) from the watching thread; whoever gives it passes it
    on to his own thread.
    """

    def __init__(self, preload: str, on_exit: Callable[[int, str], None]) -> None:
        self._on_exit = on_exit
        self._context = multiprocessing.get_context('forkserver')
        self._context.set_forkserver_preload([preload])
        self._preload = preload
        self._processes: dict[int, WorkerProcess] = {}
        self._by_pidfd: dict[int, WorkerProcess] = {}
        self._lock = threading.Lock()
        self._epoll = select.epoll()
        self._wake_read, self._wake_write = os.pipe()
        self._epoll.register(self._wake_read, select.EPOLLIN)
        self._thread = threading.Thread(target=self._watch, name='process_watcher', daemon=True)

    def open(self, *, as_we_are: bool = False) -> None:
        """Start the fork server and the watching thread.

        ``as_we_are``: with all that is imported here, instead of importing it once more. Only for
        a process that has no other thread yet.
        """
        if as_we_are and sys.version_info < (3, 14):  # which starts one in another way
            self._fork_server()
        else:
            with _no_main_module():
                forkserver.ensure_running()
        self._thread.start()

    def _fork_server(self) -> None:
        """Start the standard library's server, by a fork of this process.

        It starts it as a new interpreter, and does so here too if this one should die.
        """
        resource_tracker.ensure_running()
        server: Any = forkserver._forkserver
        connection: Any = multiprocessing.connection
        with socket.socket(socket.AF_UNIX) as listener:
            address = connection.arbitrary_address('AF_UNIX')
            listener.bind(address)
            listener.listen()
            ours, its = os.pipe()[::-1]
            pid = os.fork()
            if not pid:
                try:
                    os.close(ours)
                    forkserver.main(listener.detach(), its, [self._preload])
                finally:
                    os._exit(1)
            os.close(its)
        server._forkserver_address = address
        server._forkserver_alive_fd = ours
        server._forkserver_pid = pid

    def pipe(self, *, duplex: bool = False) -> tuple[Any, Any]:
        """A pipe, (receiver, sender); ``duplex``: either end is both."""
        return self._context.Pipe(duplex)

    def start_helper(self, target: Callable[..., None], args: tuple[Any, ...]) -> Any:
        """Fork a short-lived process that is not watched; the caller joins it."""
        with _no_main_module():
            process = self._context.Process(target=target, args=args, daemon=True)
            process.start()
        return process

    def start(self, target: Callable[..., None], args: tuple[Any, ...], name: str) -> WorkerProcess:
        """Fork a worker and watch it. Raises OSError when it cannot be forked."""
        # Not daemonic: multiprocessing would end daemonic ones when the manager exits.
        with _no_main_module():
            process = self._context.Process(target=target, args=args, name=name)
            process.start()
        # The manager stops its workers itself, in order and in time; what it leaves, it leaves on
        # purpose. multiprocessing would wait at exit for each of them, without a bound.
        multiprocessing.process._children.discard(process)  # type: ignore[attr-defined]
        pid: Any = process.pid
        return self._watched(WorkerProcess(pid, process))

    def adopt(self, pid: int) -> WorkerProcess:
        """Watch a worker that an earlier manager has started."""
        return self._watched(WorkerProcess(pid))

    def _watched(self, worker: WorkerProcess) -> WorkerProcess:
        if worker.pidfd is None:
            self._on_exit(worker.pid, worker.reap())
            return worker
        with self._lock:
            self._processes[worker.pid] = worker
            self._by_pidfd[worker.pidfd] = worker
            self._epoll.register(worker.pidfd, select.EPOLLIN)
        return worker

    @property
    def is_running(self) -> bool:
        """Whether the thread lives without which nobody's end is seen."""
        return self._thread.is_alive()

    @property
    def helpers(self) -> list[int]:
        """The processes that help to start workers, and outlive us where a worker does."""
        server, tracker = forkserver._forkserver, resource_tracker._resource_tracker
        pids = server._forkserver_pid, tracker._pid  # type: ignore[attr-defined]
        return [pid for pid in pids if pid]

    def send_signal(self, pid: int, number: signal.Signals) -> None:
        """Signal a worker that is watched here and has not been reaped."""
        with self._lock:
            worker = self._processes.get(pid)
            if worker is not None:
                worker.send_signal(number)

    def close(self) -> None:
        """Stop watching and end the fork server; nothing of them is left behind."""
        os.write(self._wake_write, b'.')
        self._thread.join()
        # Stopped in order, none is left here. After an error some may be; and the fork server
        # lives as long as any of its children.
        for worker in self._processes.values():
            worker.send_signal(signal.SIGKILL)
            worker.reap()
        for descriptor in (self._wake_read, self._wake_write):
            os.close(descriptor)
        self._epoll.close()
        # Both are ended and reaped here, rather than some time after us: "no process left" is to
        # be true when the manager's own exit is seen. No public way exists.
        forkserver._forkserver._stop()  # type: ignore[attr-defined]
        resource_tracker._resource_tracker._stop()  # type: ignore[attr-defined]

    def _watch(self) -> None:
        while True:
            for descriptor, _ in self._epoll.poll():
                if descriptor == self._wake_read:
                    return
                with self._lock:
                    worker = self._by_pidfd.pop(descriptor, None)
                    if worker is None:
                        continue
                    self._epoll.unregister(descriptor)
                    del self._processes[worker.pid]
                code = exit_code_of(worker.pid)
                if code is None:
                    # Its parent has reaped it already, and tells.
                    self._on_exit(worker.pid, worker.reap())
                else:
                    self._on_exit(worker.pid, exit_reason(code))
                    worker.reap()


@contextlib.contextmanager
def _no_main_module() -> Iterator[None]:
    """Keep multiprocessing from importing the manager's main module into every worker.

    A worker needs nothing of it, and what a console script or a user's own program does at import
    would be done once more in each of them, and would cost a worker's start most of its time.
    """
    main = sys.modules['__main__']
    spec, file = getattr(main, '__spec__', None), getattr(main, '__file__', None)
    main.__spec__ = None
    if file is not None:
        del main.__file__
    try:
        yield
    finally:
        main.__spec__ = spec
        if file is not None:
            main.__file__ = file
