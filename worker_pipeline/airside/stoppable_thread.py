"""A thread that talks to somebody until it is told to stop."""

from __future__ import annotations

import threading


class StoppableThread:
    """Runs ``_run``, which ends when ``_stopping`` is set. A daemon: it holds up no exit."""

    def __init__(self, name: str) -> None:
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin to talk."""
        self._thread.start()

    def stop(self, timeout: float = 2.0) -> None:
        """End. A link that is just being opened is not waited for any longer than ``timeout``."""
        self._stopping.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        raise NotImplementedError
