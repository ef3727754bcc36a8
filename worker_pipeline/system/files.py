# SPDX-License-Identifier: Apache-2.0
"""What is at a path now: a folder, or another file than the one that was there before."""

from __future__ import annotations

import os
from pathlib import Path


def is_folder(path: Path) -> bool:
    """Return whether there is a folder, rather than a link to one."""
    return path.is_dir() and not path.is_symlink()


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
