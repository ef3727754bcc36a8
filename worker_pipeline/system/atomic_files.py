# SPDX-License-Identifier: Apache-2.0
"""Files that exist completely or not at all, even after a power cut."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO


def write_atomically(path: Path, fill: Callable[[BinaryIO], object], mode: int = 0o600) -> None:
    """Write a file and leave no partial one behind.

    Args:
        path: The file, replaced if it exists.
        fill: Writes the content. Its exceptions are passed on.
        mode: The file's permissions.

    Raises:
        OSError: The file cannot be written.
    """
    part = path.with_name(f'.{path.name}.part')
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with open(descriptor, 'wb') as file:
            # The owner can read it whatever umask the process has.
            os.fchmod(descriptor, stat.S_IMODE(os.fstat(descriptor).st_mode) | (mode & 0o600))
            # Some network file systems have no locks. There `remove_partial_files` does nothing.
            with suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fill(file)
            file.flush()
            # The content must be on the disk before the name is.
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


def remove_partial_files(folder: Path) -> None:
    """Remove the partial files of killed writers; a live writer has locked its own."""
    for path in folder.glob('.*.part'):
        with suppress(OSError), path.open('rb') as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
