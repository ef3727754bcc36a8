# SPDX-License-Identifier: Apache-2.0
"""The guardian: the process that a user starts, which starts the manager again when it dies.

It holds everything imported, so that a manager is a fork away. It does as little as possible, so
that little can end it: it has one thread, runs no user code and takes no part in DDS. Whoever has
started it may treat it as the manager: signals reach the manager, the manager's exit code is its
own, and if it is killed the manager is killed with it; the workers live on.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import sys
import time
from collections.abc import Sequence
from typing import Any

from worker_pipeline.core.manager_restarts import Finish, ManagerRestarts
from worker_pipeline.exit_codes import (
    EXIT_BAD_CONFIGURATION,
    EXIT_FAILED,
    EXIT_HANDED_OVER,
    is_permanent,
)
from worker_pipeline.guardian.manager_fork import ManagerFork
from worker_pipeline.guardian.notifications import Notifications
from worker_pipeline.guardian.warm_up import warm_up
from worker_pipeline.output.output_relay import OutputRelay
from worker_pipeline.ros import dds
from worker_pipeline.ros.package_share import package_share
from worker_pipeline.system.guardian_link import NOTIFY, RUNNING, SERVER
from worker_pipeline.system.kept_fork_server import KeptForkServer
from worker_pipeline.system.proc import set_process_name
from worker_pipeline.system.processes import exit_reason
from worker_pipeline.system.stop_signals import STOP_SIGNALS, StopSignals
from worker_pipeline.system.systemd_notifier import SystemdNotifier
from worker_pipeline.system.temporary_folder import forbid_abstract_sockets, shorten_socket_paths

# How long a manager may take to end by the watchdog's signal, s: systemd kills all of us later.
ABORT_TIMEOUT = 1.0


def run_guarded(arguments: Sequence[str], signals: StopSignals, output: OutputRelay) -> int:
    """Run managers until one ends for good; return its exit code, negative for a signal.

    Args:
        arguments: As in ``sys.argv``.
        signals: Has kept the stop signals since the start of the process, and the
            ``GUARDED_SIGNALS``.
        output: Relays what the manager and its workers print.

    The exit codes are those of ``run_manager``.
    """
    try:
        settings = dds.apply_defaults(package_share() / 'config')
        forbid_abstract_sockets()
        shorten_socket_paths()
    except (OSError, ValueError) as error:
        print(f'manager: {error}; nothing was started', file=sys.stderr)
        return EXIT_FAILED if isinstance(error, OSError) else EXIT_BAD_CONFIGURATION
    # Before any fork: it removes variables from the environment that child processes must not have.
    notifications = Notifications(SystemdNotifier.from_environment())
    warm_up()
    set_process_name('guardian')

    fork = ManagerFork(arguments, settings, signals, output, notifications.watchdog)

    def enter_server() -> None:
        signals.release()
        output.enter_fork_server()
        fork.leave()

    server = KeptForkServer('worker_pipeline.worker.fork_preload', enter_server)
    gc.enable()
    # These objects stay for good: traversing them for garbage would copy what forks share.
    gc.freeze()
    return _Guardian(fork, server, signals, notifications).run()


class _Guardian:
    """The event loop: signals, the manager's packets, and the time of the next start."""

    def __init__(
        self,
        fork: ManagerFork,
        server: KeptForkServer,
        signals: StopSignals,
        notifications: Notifications,
    ) -> None:
        self._manager = fork
        self._server = server
        self._signals = signals
        self._notifications = notifications
        self._restarts = ManagerRestarts(is_permanent, handed_over=EXIT_HANDED_OVER)
        self._start_at: float | None = time.monotonic()
        self._stop_signal = 0  # the last one that has asked for the end
        self._code: int | None = None  # None: not over yet

    def run(self) -> int:
        """Serve until a manager has ended for good; return the exit code."""
        while self._code is None:
            now = time.monotonic()
            if self._start_at is not None and now >= self._start_at:
                self._start(now)
            self._notifications.tick(now)
            self._wait(now)
            self._receive()
            self._reap()
        self._server.leave()
        return self._code

    def _start(self, now: float) -> None:
        self._start_at = None
        try:
            self._manager.start(self._server.connect(), self._server.leave)
        except OSError as error:
            print(f'manager: cannot be started: {error}', file=sys.stderr)
            self._ended(EXIT_FAILED)
            return
        self._notifications.started(now)
        if self._stop_signal:
            self._manager.send_signal(self._stop_signal)

    def _wait(self, now: float) -> None:
        poll = select.poll()
        poll.register(self._signals, select.POLLIN)
        if self._manager.link is not None:
            poll.register(self._manager.link, select.POLLIN)
        due = [each for each in (self._start_at, self._notifications.due(now)) if each is not None]
        timeout = max(0.0, min(due) - now) * 1e3 + 1.0 if due else None
        ready = {descriptor for descriptor, _ in poll.poll(timeout)}
        if self._signals.fileno() in ready:
            for number in self._signals.take():
                self._on_signal(number)

    # -- signals ---------------------------------------------------------------------------------

    def _on_signal(self, number: int) -> None:
        if number in STOP_SIGNALS:
            self._stop(number)
        elif number == signal.SIGABRT:
            self._abort()
        elif number != signal.SIGCHLD and self._manager.pid:
            self._manager.send_signal(number)

    def _stop(self, number: int) -> None:
        self._restarts.stop()
        self._notifications.stop()
        self._stop_signal = number
        if self._manager.pid:
            self._manager.send_signal(number)
        else:
            # Workers are waiting for a manager: it adopts them, and shuts them down.
            self._start_at = time.monotonic()

    def _abort(self) -> None:
        """End as the manager that hangs: the watchdog has had enough of it."""
        self._restarts.stop()
        if self._manager.pid:
            self._manager.send_signal(signal.SIGABRT)
            deadline = time.monotonic() + ABORT_TIMEOUT
            while self._manager.pid and time.monotonic() < deadline:
                self._reap()
                time.sleep(0.005)
        self._code = -signal.SIGABRT

    # -- the manager -----------------------------------------------------------------------------

    def _receive(self) -> None:
        for packet in self._manager.receive():
            kind, text = packet[:1], packet[1:].decode(errors='replace')
            if kind == RUNNING:
                self._restarts.is_running(time.monotonic())
                self._notifications.running()
            elif kind == NOTIFY:
                if self._notifications.pass_on(text):
                    self._restarts.is_active()
            elif kind == SERVER:
                self._server.replace()
                with contextlib.suppress(OSError):  # the manager starts one itself
                    self._manager.give_server(self._server.connect())

    def _reap(self) -> None:
        """Reap what has exited: the manager, the fork server, the output relay."""
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    return
                if pid == self._server.pid:
                    self._server.has_exited()
                elif pid == self._manager.pid:
                    self._receive()  # what it had sent before
                    self._manager.has_exited()
                    self._ended(os.waitstatus_to_exitcode(status), pid)

    def _ended(self, code: int, pid: int = 0) -> None:
        now = time.monotonic()
        decision = self._restarts.ended(code, now)
        if isinstance(decision, Finish):
            self._code = decision.code
            return
        self._start_at = now + decision.delay
        self._notifications.ended()
        if decision.is_worth_a_line:
            what = 'one after the other dies at its start; trying again every 5 to 10 s'
            if not decision.is_failing:
                what = 'starting another one, which takes over its workers'
            who = f'manager (pid {pid})' if pid else 'manager'
            print(f'{who}: {exit_reason(code)}; {what}', file=sys.stderr)


def die_by(number: int) -> Any:
    """End this process by a signal, as its manager ended; without a core dump of its own."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(number, signal.SIG_DFL) if number != signal.SIGKILL else None
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    os.kill(os.getpid(), number)
    return 128 + number  # where the signal does not end it, as that of a PID namespace's init
