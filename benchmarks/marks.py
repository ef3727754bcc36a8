"""Marks by which a process tells when it was ready, by its own clock.

Whoever waits to hear of it hears it when DDS has discovered the process, which may be seconds
later. The clock is the machine's monotonic one, the same for all processes.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

# The folder, in the environment of those who are to leave a mark.
FOLDER = 'WORKER_PIPELINE_MARKS'


def leave() -> None:
    """This process is ready, now; tells whoever asked for it."""
    now = time.monotonic()
    folder = os.environ.get(FOLDER)
    if folder:
        fresh = Path(folder) / f'.{os.getpid()}'
        fresh.write_text(repr(now))
        fresh.rename(Path(folder) / str(os.getpid()))


def read(folder: Path) -> list[float]:
    """When those were ready that are, by ``time.monotonic``."""
    return [float(each.read_text()) for each in folder.iterdir() if each.name.isdigit()]
