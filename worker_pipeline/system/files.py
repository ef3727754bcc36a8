# SPDX-License-Identifier: Apache-2.0
"""Whether a path leads to a folder, a file, or another file than before; and reading a file.

In the place of a file there may be anything by the time it is read. To open a named pipe would
wait without end.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO


def is_folder(path: Path) -> bool:
    """Return whether there is a folder, rather than a link to one."""
    return path.is_dir() and not path.is_symlink()


def is_no_file(path: Path) -> bool:
    """Return whether there is something that cannot be read or written as a file.

    A folder, a named pipe, or a device; sockets are left alone, as others may be connected.
    """
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISSOCK(mode)


def open_file(path: Path) -> BinaryIO:
    """Open a file to read. Raises OSError, also for a named pipe, a device or a folder."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, 'it is no regular file', str(path))
    return open(descriptor, 'rb')


def read_file(path: Path) -> bytes:
    """Return the content of a file. Raises OSError as ``open_file`` does."""
    with open_file(path) as file:
        return file.read()


def identity_of(path: Path) -> tuple[int, int] | None:
    """Return what tells a file or folder from another one of its name; None if there is none."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def is_same_file(descriptor: int, path: Path) -> bool:
    """Return whether a path still leads to an open file."""
    found = os.fstat(descriptor)
    return identity_of(path) == (found.st_dev, found.st_ino)
