# SPDX-License-Identifier: Apache-2.0
"""The status of a stage, shown in its worker's status on ``/diagnostics``."""

from __future__ import annotations

import threading
from typing import Any

from worker_pipeline.error_text import plain_text

OK, WARN, ERROR = 'ok', 'warn', 'error'
LEVELS = (OK, WARN, ERROR)
MAX_VALUES = 200  # shown


class StageStatus:
    """A level with a message, and values; sent with each heartbeat. Any thread may change it.

    >>> status = StageStatus()
    >>> status.warn('no camera')
    >>> status.count('missed')
    >>> status.snapshot()
    ('warn', 'no camera', {'missed': '1'})

    It is for people only: a stage with a warning or an error still gets items. Messages and values
    may be of any type, such as an exception; long texts are shortened.
    """

    def __init__(self) -> None:
        # A signal handler may come while its thread holds the lock.
        self._lock = threading.RLock()
        self.level = OK
        self.message = ''
        self.values: dict[str, str] = {}

    def ok(self) -> None:
        """Clear a warning or an error."""
        self._set_level(OK, '')

    def warn(self, message: object) -> None:
        """Report a problem, until ``ok`` is called."""
        self._set_level(WARN, message)

    def error(self, message: object) -> None:
        """Report that the stage cannot do its work, until ``ok`` is called."""
        self._set_level(ERROR, message)

    def set(self, key: str, value: Any) -> None:
        """Set a value."""
        text = plain_text(value)  # the value's own code, which may use this status
        with self._lock:
            self.values[key] = text

    def count(self, key: str, by: int = 1) -> None:
        """Add to a counter, which starts at 0 in each worker process."""
        with self._lock:
            self.values[key] = str(int(self.values.get(key, 0)) + by)

    def snapshot(self) -> tuple[str, str, dict[str, str]]:
        """Return level, message and values of one moment."""
        with self._lock:
            level, message, found = self.level, self.message, [*self.values.items()]
        # A stage may have set the attributes itself.
        values = {plain_text(key): plain_text(value) for key, value in found[:MAX_VALUES]}
        if len(found) > MAX_VALUES:
            values['...'] = f'{len(found)} values in all'
        return level if level in LEVELS else ERROR, plain_text(message), values

    told = snapshot  # the former name, kept for stages that use it

    def _set_level(self, level: str, message: object) -> None:
        text = plain_text(message)
        with self._lock:
            self.level, self.message = level, text
