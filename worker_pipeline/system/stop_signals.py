# SPDX-License-Identifier: Apache-2.0
"""The signals that ask a process to stop: none is lost, and none ends it, from start to exit."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Others that a guardian handles: the exits of its children, its watchdog's, and what it passes on.
GUARDED_SIGNALS = (signal.SIGCHLD, signal.SIGABRT, signal.SIGUSR1, signal.SIGUSR2)


class StopSignals:
    """Keeps stop signals from now on, and passes them on from ``watch`` on.

    To be created on the main thread, before anything that takes long, as imports do. Signals are
    passed on by a thread, as a Python signal handler would not run before the main thread's wait in
    the executor ends; or they are taken by a process that has no other thread.

    Args:
        others: Other signals to keep, for ``take``.
    """

    def __init__(self, *others: signal.Signals) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        # The handler does nothing: the signal number arrives through the pipe.
        self._former = {
            number: signal.signal(number, lambda _number, _frame: None)
            for number in (*STOP_SIGNALS, *others)
        }

    def fileno(self) -> int:
        """Return the descriptor that is readable when ``take`` has something to return."""
        return self._read

    def take(self) -> list[int]:
        """Return the numbers of the signals since the last call; wait for one if there is none."""
        return [*os.read(self._read, 4096)]

    def watch(self, on_stop: Callable[[], None]) -> None:
        """Call ``on_stop`` at each stop signal, on a thread; at those before this call too."""

        def run() -> None:
            while numbers := os.read(self._read, 64):
                if any(number in STOP_SIGNALS for number in numbers):
                    on_stop()

        threading.Thread(target=run, name='signal_watcher', daemon=True).start()

    def ignore(self) -> None:
        """Ignore stop signals from now on: none changes the exit code while Python exits."""
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)

    def release(self) -> None:
        """Handle signals as before: for a child that is forked before ``watch``."""
        signal.set_wakeup_fd(-1)
        for number, handler in self._former.items():
            # None: not one of Python's, as that of faulthandler, which then installs it again.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        os.close(self._read)
        os.close(self._write)
