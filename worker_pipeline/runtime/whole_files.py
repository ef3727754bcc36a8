"""Files that are there whole or not at all, also after a power cut."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO


def write_whole(path: Path, fill: Callable[[BinaryIO], object], mode: int = 0o600) -> None:
    """Make a file, filled by ``fill``. Raises what that raises, and OSError; no half is left."""
    part = path.with_name(f'.{path.name}.part')
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with open(descriptor, 'wb') as file:
            # Some network file systems have no locks, and nobody will remove a half there.
            with suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fill(file)
            file.flush()
            # The bytes must be on the disk before the name is.
            os.fsync(file.fileno())
            os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_halves(folder: Path) -> None:
    """Remove what writers left behind that were killed; one that lives has its file locked."""
    for path in folder.glob('.*.part'):
        with suppress(OSError), path.open('rb') as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
