# SPDX-License-Identifier: Apache-2.0
"""The history of a storm on disk, one JSON line per event."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any


class Recorder:
    """Writes events, from any thread, with the seconds since its creation."""

    def __init__(self, path: Path) -> None:
        self._file = path.open('w')
        self._lock = threading.Lock()
        self._begin = time.monotonic()

    def record(self, event: str, **values: Any) -> None:
        """Write an event."""
        line = json.dumps({'t': round(time.monotonic() - self._begin, 4), 'event': event, **values})
        with self._lock:
            if not self._file.closed:
                self._file.write(line + '\n')

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._file.close()
