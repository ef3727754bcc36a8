"""Marks by which a process tells when it was ready, by its own clock.

Whoever waits to hear of it hears it when DDS has discovered the process, which may be seconds
later. The clock is the machine's monotonic one, the same for all processes.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
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


@contextlib.contextmanager
def wanted() -> Iterator[Path]:
    """Have every process that is started within leave its mark; yields the folder of the marks."""
    # Here, as a stage that only leaves a mark is not to import all that this takes.
    from benchmarks.processes import temporary_folder

    with temporary_folder() as folder:
        os.environ[FOLDER] = folder
        try:
            yield Path(folder)
        finally:
            del os.environ[FOLDER]


def clear(folder: Path) -> None:
    """Forget the marks that there are."""
    for each in folder.iterdir():
        each.unlink()


def read(folder: Path) -> list[float]:
    """When those were ready that are, by ``time.monotonic``."""
    return [float(each.read_text()) for each in folder.iterdir() if each.name.isdigit()]
