# SPDX-License-Identifier: Apache-2.0
"""The fork server's process: forks workers, reaps them, and ends what they leave behind.

It has one thread and runs no user code, so forking it is safe. As a child subreaper it becomes the
parent of whatever a dead worker has left behind (a worker is one too, so nothing leaves it while it
lives): a child that it has not forked itself belongs to a dead worker. When its manager has died it
continues until its last worker has exited, or for as long as it is kept by a guardian, who connects
it to the next manager.

The standard library's fork server does none of this, and lives for as long as any descendant of a
worker holds one end of its pipe.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import marshal
import os
import select
import signal
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Iterable
from typing import Any, NoReturn

from worker_pipeline.system import fork_child
from worker_pipeline.system.descriptor_passing import receive_packet
from worker_pipeline.system.leftovers import Leftovers, attribute, describe_leftovers
from worker_pipeline.system.process_table import (
    Process,
    become_subreaper,
    families,
    is_marked,
    is_resource_tracker,
    read_process,
    read_processes,
    worker_mark,
)
from worker_pipeline.system.watched_orphans import WatchedOrphans

# Requests, the first byte of a packet from the manager.
START, WATCH, CLOSE = b'S', b'W', b'C'
# From the guardian, with a connection to the next manager.
CONNECT = b'M'
# The first report of a server that has imported what its workers need.
READY = ('ready',)
WATCHED = struct.Struct('<iQ')  # pid, start
STARTED = struct.Struct('<q')  # a pid, or a negative error number
MAX_REQUEST, MAX_DESCRIPTORS = 64, 64
# How soon to look again at processes that are to exit, s. A child's exit is known at once.
CHECK_PERIOD = 0.005
# How long after a worker's end to look once more, at all processes, s.
SWEEP_DELAY = 1.0


def main(control: int, preload: str, *, is_kept: bool = False) -> None:
    """Run the fork server until nobody needs it: its manager, its guardian, and its workers.

    Args:
        control: The descriptor of the socket to the manager; to the guardian if it is kept.
        preload: The module to import once, for all workers.
        is_kept: Whether a guardian keeps it, and connects it to one manager after another.
    """
    # A Ctrl-C, or a signal to the manager's process group, is to reach only the manager: it drains
    # the pipeline and shuts the workers down, instead of all of them dying at once.
    with contextlib.suppress(OSError):
        os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    become_subreaper()
    null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    os.dup2(null, 0)
    os.close(null)
    connection = socket.socket(fileno=control)
    server = _ForkServer(preload)
    if is_kept:
        server.keeper = connection
    else:
        server.connect(connection)
    server.run()


class _ForkServer:
    def __init__(self, preload: str) -> None:
        self.keeper: socket.socket | None = None  # to the guardian
        self._preload = preload  # '' when it is imported
        self._manager: socket.socket | None = None
        self._unsent: deque[bytes] = deque()
        self._workers: dict[int, str] = {}  # forked here, and not reaped: marks by pid
        self._orphans = WatchedOrphans()
        self._ending: dict[int, Leftovers] = {}  # by the pid of the worker that has exited
        self._codes: dict[int, int | None] = {}
        self._ended_marks: dict[int, str] = {}
        self._owners: dict[int, int] = {}  # dead workers, by the pids of what they have left
        self._sweep_at: float | None = time.monotonic()
        self._foreign_sessions: set[int] = set()
        self._last_exit = 0  # pid
        self._wake_read, self._wake_write = os.pipe()
        for descriptor in (self._wake_read, self._wake_write):
            os.set_blocking(descriptor, False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)

    def connect(self, manager: socket.socket) -> None:
        """Serve a manager, in place of one that is gone."""
        self._disconnect()
        manager.setblocking(False)
        self._manager = manager
        self._unsent.clear()  # of no use to it: it finds out itself who is alive
        if not self._preload:
            self._tell(*READY)

    def _disconnect(self) -> None:
        if self._manager is not None:
            self._manager.close()
            self._manager = None

    def _leave_keeper(self) -> None:
        if self.keeper is not None:
            self.keeper.close()
            self.keeper = None

    def run(self) -> None:
        """Serve until nobody needs this process any more."""
        while True:
            self._wait()
            self._receive_connection()
            self._receive()
            now = time.monotonic()
            has_children = self._reap(now)
            for pid, code in self._orphans.exited():
                self._exited(pid, code, now)
            self._end_leftovers(now)
            self._orphans.refresh(now)
            self._send()
            if not self._ending:
                self._import()  # not before: a dead worker's slot may wait for a report
            if self._is_done(now, has_children=has_children):
                return

    def _wait(self) -> None:
        """Wait for a request, an exit, or the time of the next check."""
        if self._preload:
            return  # to be imported first
        poll = select.poll()
        poll.register(self._wake_read, select.POLLIN)
        if self.keeper is not None:
            poll.register(self.keeper, select.POLLIN)
        if self._manager is not None:
            poll.register(self._manager, select.POLLIN | (select.POLLOUT if self._unsent else 0))
        for descriptor in self._orphans.pidfds:
            poll.register(descriptor, select.POLLIN)
        poll.poll(self._timeout())
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_read, 4096)

    def _timeout(self) -> float | None:
        """Return for how long nothing is due, ms; None: there is no limit."""
        if self._ending:
            return CHECK_PERIOD * 1e3
        due = [each for each in (self._sweep_at, self._orphans.refresh_at) if each is not None]
        return max(0.0, min(due) - time.monotonic()) * 1e3 if due else None

    def _is_done(self, now: float, *, has_children: bool) -> bool:
        if self.keeper is not None or self._manager is not None:
            return False
        if self._workers or self._ending or self._orphans.pidfds:
            return False
        if not has_children:
            return True
        # Not one of them is a worker.
        self._sweep_at = now
        return False

    # -- the manager -----------------------------------------------------------------------------

    def _receive_connection(self) -> None:
        """Connect to the next manager, if the guardian says so."""
        if self.keeper is None:
            return
        try:
            request, descriptors = receive_packet(self.keeper, MAX_REQUEST, 1)
        except BlockingIOError:
            return
        except OSError:
            request, descriptors = b'', []
        if request == CONNECT and descriptors:
            self.connect(socket.socket(fileno=descriptors[0]))
        elif not request:  # the guardian is dead
            self._leave_keeper()

    def _receive(self) -> None:
        while self._manager is not None:
            try:
                request, descriptors = receive_packet(self._manager, MAX_REQUEST, MAX_DESCRIPTORS)
            except BlockingIOError:
                return
            except OSError:
                request, descriptors = b'', []
            if not request:
                self._disconnect()
            else:
                self._handle(request, descriptors)

    def _handle(self, request: bytes, descriptors: list[int]) -> None:
        """Carry out a request. One that is not complete is ignored, and its descriptors closed."""
        kind, body = request[:1], request[1:]
        if kind == START and 2 <= len(descriptors) == _count_of(body):
            self._start(descriptors)
        elif kind == WATCH and len(body) == WATCHED.size:
            pid, start = WATCHED.unpack(body)
            if pid not in self._workers:  # of another server
                self._orphans.add(pid, start)
        elif kind == CLOSE:
            self._disconnect()
            self._leave_keeper()
            for pid in (*self._workers, *self._orphans.pids):
                _kill(pid, signal.SIGKILL)
        for descriptor in descriptors:
            os.close(descriptor)

    def _import(self) -> None:
        preload, self._preload = self._preload, ''
        if preload:
            importlib.import_module(preload)
            self._tell(*READY)

    def _start(self, descriptors: list[int]) -> None:
        """Fork a worker, and tell its pid through the second of the descriptors."""
        reply = descriptors[1]
        self._import()
        server = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:  # no memory, or too many processes
            pid = -(error.errno or errno.EAGAIN)
        if pid == 0:
            self._become_worker(descriptors, server)
        if pid > 0:
            own = read_process(pid)
            self._workers[pid] = worker_mark(pid, own.start if own else 0)
        try:
            os.write(reply, STARTED.pack(pid))
        except OSError:  # the manager has not waited for it, and will not know it
            if pid > 0:
                _kill(pid, signal.SIGKILL)

    def _become_worker(self, descriptors: list[int], server: int) -> NoReturn:
        """Turn this process, a fork of the server, into a worker; never return."""
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for connection in (self._manager, self.keeper):
                if connection is not None:
                    connection.close()
            for each in (descriptors[1], self._wake_read, self._wake_write, *self._orphans.pidfds):
                os.close(each)
            fork_child.run(descriptors[0], descriptors[2:], server)
        finally:
            os._exit(1)

    def _tell(self, *message: Any) -> None:
        if self._manager is not None:
            self._unsent.append(marshal.dumps(message))

    def _send(self) -> None:
        while self._unsent and self._manager is not None:
            try:
                self._manager.send(self._unsent[0], socket.MSG_NOSIGNAL)
            except BlockingIOError:
                return  # the manager is held up
            except OSError:
                self._disconnect()
                return
            self._unsent.popleft()

    # -- exits -----------------------------------------------------------------------------------

    def _reap(self, now: float) -> bool:
        """Reap all children that have exited. Return whether there are others."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if not pid:
                return True
            mark = self._workers.pop(pid, None)
            if mark is not None:
                self._ended_marks[pid] = mark
                self._exited(pid, os.waitstatus_to_exitcode(status), now)

    def _exited(self, pid: int, code: int | None, now: float) -> None:
        # The manager shuts workers down; whoever exits in another way has crashed. The exit code of
        # an orphan is not known, so what it has left gets the time to clean up.
        self._ending[pid] = Leftovers(pid, orderly=code in (0, None), now=now)
        self._codes[pid] = code
        self._last_exit = pid

    def _end_leftovers(self, now: float) -> None:
        """Signal what dead workers have left behind, and report those that have left nothing."""
        is_sweep = self._sweep_at is not None and now >= self._sweep_at
        if not self._ending and not is_sweep:
            return
        left = self._scan(is_sweep=is_sweep)
        workers = dict(self._workers)
        self._reap(now)
        while self._workers != workers:
            # A worker has exited during the scan: what it has left may be in it, or not.
            workers = dict(self._workers)
            left = self._scan(is_sweep=False)
            self._reap(now)
        if left and not self._ending:
            self._ending[0] = Leftovers(self._last_exit, orderly=False, now=now)
        if self._ending:
            self._update(left, now)
        else:
            self._owners.clear()

    def _scan(self, *, is_sweep: bool) -> dict[int, list[Process]]:
        """Return the families that no living worker has, by the pid of their root."""
        orphans = self._orphans.ended & self._ending.keys()
        if is_sweep or orphans:
            processes = read_processes()
        else:
            # A session has no members but its leader's descendants.
            processes = read_processes(self._foreign_sessions, self._workers)
        left = self._families(processes)
        for pid in orphans:
            left |= self._orphans.families_of(pid, processes, (*self._workers, os.getpid()))
        if is_sweep:
            self._sweep_at = None
            own = {each.pid for each in families(processes, [os.getpid()])[os.getpid()]}
            self._foreign_sessions = {each.session for each in processes if each.pid not in own}
        return left

    def _families(self, processes: list[Process]) -> dict[int, list[Process]]:
        """Return the families of the children that were not forked here."""
        own = os.getpid()
        roots = [
            each.pid for each in processes if each.parent == own and each.pid not in self._workers
        ]
        return families(processes, roots)

    def _update(self, left: dict[int, list[Process]], now: float) -> None:
        owned = attribute(left, self._ending.keys(), self._marks(left))
        for pid, alive in owned.items():
            leftovers = self._ending[pid]
            self._owners.update((each.pid, pid) for each in alive)
            trackers = [each.pid for each in alive if is_resource_tracker(each.pid)]
            for each in leftovers.update(alive, trackers, now):
                _kill(each.pid, each.number)
            if leftovers.is_over:
                del self._ending[pid]
                self._report(pid, leftovers)
                self._sweep_at = now + SWEEP_DELAY if pid else None

    def _marks(self, roots: Iterable[int]) -> dict[int, int]:
        """Return, by the pid of a root, that of the dead worker whose mark it has, or had."""
        if len(self._ending) < 2:
            return {}  # there is nothing to tell apart
        # A process that is exiting has no environment and no memory any more.
        return {root: self._owners[root] for root in roots if root in self._owners} | {
            root: worker
            for root in roots
            for worker, mark in self._ended_marks.items()
            if is_marked(root, mark)
        }

    def _report(self, pid: int, leftovers: Leftovers) -> None:
        self._orphans.forget(pid)
        self._ended_marks.pop(pid, None)
        names = list(leftovers.names.items())
        self._tell(leftovers.worker, pid != 0, self._codes.pop(pid, None), names, leftovers.outcome)
        if names and self._manager is None:
            with contextlib.suppress(OSError):  # standard error may be closed
                text = describe_leftovers(names, leftovers.outcome)
                print(f'worker (pid {leftovers.worker}) left {text}', file=sys.stderr, flush=True)


def _count_of(body: bytes) -> int:
    """Return how many descriptors a request to start a worker came with; 0 if it does not say.

    Where no more files can be opened, the kernel passes fewer.
    """
    return body[0] if len(body) == 1 else 0


def _kill(pid: int, number: int) -> None:
    # It is a descendant of this process, or was just seen alive; pids are reused only much later.
    with contextlib.suppress(OSError):
        os.kill(pid, number)
