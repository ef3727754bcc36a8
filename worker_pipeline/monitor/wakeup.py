# SPDX-License-Identifier: Apache-2.0
"""Wakes the main loop on a signal, a key, or an event of another thread."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Wakeup:
    """Waits for events, and handles the process's signals. Create it on the main thread."""

    def __init__(self) -> None:
        self.stopped = False
        self.resized = False
        self._read, self._write = os.pipe()
        for end in (self._read, self._write):
            os.set_blocking(end, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._read, selectors.EVENT_READ)
        for number in STOP_SIGNALS:
            signal.signal(number, self._stop)
        signal.signal(signal.SIGWINCH, self._resize)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)

    def stop(self) -> None:
        """End the loop; may be called by any thread."""
        self.stopped = True
        self.wake()

    def _stop(self, *_: object) -> None:
        self.stopped = True

    def _resize(self, *_: object) -> None:
        self.resized = True

    def watch(self, keyboard: int) -> None:
        """Wait for input on this descriptor too."""
        self._selector.register(keyboard, selectors.EVENT_READ)

    def wake(self) -> None:
        """Wake the loop; may be called by any thread."""
        with contextlib.suppress(BlockingIOError):  # the pipe is full: it will wake
            os.write(self._write, b'\0')

    def wait(self, seconds: float) -> set[int]:
        """Wait for an event, for ``seconds`` at most.

        Returns:
            The descriptors that are ready, among them the keyboard's if there is input.
        """
        ready = {key.fd for key, _ in self._selector.select(seconds)}
        with contextlib.suppress(BlockingIOError):
            os.read(self._read, 4096)
        return ready
