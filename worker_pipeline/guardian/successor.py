# SPDX-License-Identifier: Apache-2.0
"""The next manager, kept ready: its DDS participant is known to all others before it is needed."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from worker_pipeline.guardian.manager_fork import ManagerFork
from worker_pipeline.ros.arguments import ros_options
from worker_pipeline.system.guardian_link import PREPARED

# How long after a manager has become active its successor is started, s: not beside its workers.
DELAY = 0.3
# How long after one has died, s.
RETRY_DELAY = 10.0
# How long one may take to leave, s.
LEAVE_TIMEOUT = 1.0

_Files = list[tuple[str, int, int]]


class Successor:
    """Forks it, and gives it away when it is needed.

    Args:
        make_fork: Makes the object of a manager to fork.
        in_successor: Called first in it.
        arguments: As in ``sys.argv``: it has read the parameter files in them.
    """

    def __init__(
        self,
        make_fork: Callable[[], ManagerFork],
        in_successor: Callable[[], None],
        arguments: Sequence[str],
    ) -> None:
        self._make_fork = make_fork
        self._in_successor = in_successor
        self._arguments = arguments
        self._fork = make_fork()
        self._is_prepared = False
        self._files: _Files = []
        self._leave_by = 0.0
        self.is_wanted = False
        self.start_at: float | None = None

    @property
    def pid(self) -> int:
        """Return its pid, 0 if there is none."""
        return self._fork.pid

    @property
    def link(self) -> socket.socket | None:
        """Return the connection to it."""
        return self._fork.link

    def manager_is_active(self, now: float) -> None:
        """Start one soon, as the present manager works. ``now``: s."""
        if self.is_wanted and not self.pid and self.start_at is None:
            self.start_at = now + DELAY

    def tick(self, now: float) -> None:
        """Start one if it is time. ``now``: s."""
        if self.start_at is None or now < self.start_at:
            return
        self.start_at, self._is_prepared = None, False
        self._fork = self._make_fork()
        self._files = self._parameter_files()
        try:
            self._fork.start(None, self._in_successor)
        except OSError:  # no memory, or too many processes
            self.start_at = now + RETRY_DELAY

    def receive(self) -> None:
        """Find out whether it is ready."""
        if any(packet == PREPARED for packet in self._fork.receive()):
            self._is_prepared = True

    def take(self) -> ManagerFork | None:
        """Return it if it is ready and has read what is to be read now; otherwise end it."""
        self.receive()
        self.start_at = None
        fork, is_ready = self._fork, bool(self.pid) and self._is_prepared
        if is_ready and fork.link is not None and self._files == self._parameter_files():
            self._fork, self._is_prepared = self._make_fork(), False
            return fork
        self.kill()
        return None

    def _parameter_files(self) -> _Files:
        found = []
        for flag, *values in ros_options(self._arguments):
            if flag == '--params-file':
                with contextlib.suppress(OSError):
                    status = Path(''.join(values)).stat()
                    found.append((''.join(values), status.st_mtime_ns, status.st_size))
        return found

    def has_exited(self, now: float) -> None:
        """Note that it was reaped; another one is started later. ``now``: s."""
        self._fork.has_exited()
        self._is_prepared = False
        self.start_at = now + RETRY_DELAY if self.is_wanted else None

    def kill(self) -> None:
        """End it, as it is of no use; it is reaped with all others."""
        if self.pid:
            self._fork.send_signal(signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.pid, 0)
            self._fork.has_exited()

    def close_link(self) -> None:
        """Close the connection to it: in another fork, which has no use for it."""
        self._fork.leave()

    def leave(self) -> None:
        """Have it leave the graph, and start no more."""
        self.is_wanted, self.start_at = False, None
        self.close_link()
        self._leave_by = time.monotonic() + LEAVE_TIMEOUT

    def end(self) -> None:
        """Wait until it has left, but not for long."""
        self.leave()
        while self.pid and time.monotonic() < self._leave_by:
            with contextlib.suppress(ChildProcessError):
                if os.waitpid(self.pid, os.WNOHANG)[0]:
                    self._fork.has_exited()
                    return
            time.sleep(0.002)
        self.kill()
