# SPDX-License-Identifier: Apache-2.0
"""Marks with which a process records when it was ready, by the machine's clock.

A node outside would know only after DDS has discovered the process, possibly seconds later. The
clock is the machine's monotonic one, the same for all processes.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

# The environment variable with the folder for the marks.
FOLDER = 'WORKER_PIPELINE_MARKS'


def leave() -> None:
    """Record that this process is ready now, if marks are wanted."""
    now = time.monotonic()
    folder = os.environ.get(FOLDER)
    if folder:
        fresh = Path(folder) / f'.{os.getpid()}'
        fresh.write_text(repr(now))
        fresh.rename(Path(folder) / str(os.getpid()))


@contextlib.contextmanager
def wanted() -> Iterator[Path]:
    """Have every process that is started within leave its mark; yields the folder of the marks."""
    # Imported here: a stage that only leaves a mark should not import all that this takes.
    from benchmarks.processes import temporary_folder

    with temporary_folder() as folder:
        os.environ[FOLDER] = folder
        try:
            yield Path(folder)
        finally:
            del os.environ[FOLDER]


def clear(folder: Path) -> None:
    """Remove the existing marks."""
    for each in folder.iterdir():
        each.unlink()


def read(folder: Path) -> list[float]:
    """Return the times at which processes were ready, by ``time.monotonic``."""
    return [float(each.read_text()) for each in folder.iterdir() if each.name.isdigit()]
