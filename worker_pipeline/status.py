"""What a stage has to say about itself: in its worker's status, for rqt and the ground."""

from __future__ import annotations

import threading
from typing import Any

OK, WARN, ERROR = 'ok', 'warn', 'error'
LEVELS = (OK, WARN, ERROR)


class StageStatus:
    """How a stage stands; told with each heartbeat. Any thread may say so.

    It changes nothing: a stage that complains is as much at work as any other.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.level = OK
        self.message = ''
        self.values: dict[str, str] = {}

    def ok(self) -> None:
        """There is nothing to complain of, or not any more."""
        self._say(OK, '')

    def warn(self, message: str) -> None:
        """Something is not as it should be, until ``ok`` is called."""
        self._say(WARN, message)

    def error(self, message: str) -> None:
        """It cannot do its work, until ``ok`` is called."""
        self._say(ERROR, message)

    def set(self, key: str, value: Any) -> None:
        """Show a value under a key."""
        with self._lock:
            self.values[key] = str(value)

    def count(self, key: str, by: int = 1) -> None:
        """Show under a key how often something was, since this process is the worker."""
        with self._lock:
            self.values[key] = str(int(self.values.get(key, 0)) + by)

    def _say(self, level: str, message: str) -> None:
        with self._lock:
            self.level, self.message = level, message

    def told(self) -> tuple[str, str, dict[str, str]]:
        """Level, message and values, of one moment."""
        with self._lock:
            return self.level, self.message, dict(self.values)
