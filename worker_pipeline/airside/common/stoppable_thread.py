# SPDX-License-Identifier: Apache-2.0
"""A thread that serves a link until it is stopped."""

from __future__ import annotations

import threading


class StoppableThread:
    """Runs ``_run``, which returns when ``_stopping`` is set; a daemon: it delays no exit."""

    def __init__(self, name: str) -> None:
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout: float = 2.0) -> None:
        """Stop the thread, waiting at most ``timeout`` (s): opening a link may block for longer."""
        self._stopping.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        raise NotImplementedError
