# SPDX-License-Identifier: Apache-2.0
"""Setting aside what is damaged: kept beside its place for people to look at, and out of the way.

A start must not fail because of what an earlier one has left.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from worker_pipeline.system.files import is_folder, is_no_file

SUFFIX = '.damaged'


def set_aside(path: Path, *, copy: bool = False) -> str:
    """Rename a file or folder out of the way, and return in words where it is kept.

    Args:
        path: What is damaged. Something that was set aside there before is replaced.
        copy: Whether the file also keeps its own name. Takes no space.
    """
    kept = path.with_name(path.name + SUFFIX)
    try:
        remove(kept)
        if copy:
            os.link(path, kept)
        else:
            path.rename(kept)
    except OSError as error:
        if not copy:
            remove(path)
        return f'it could not be kept ({error.strerror})'
    return f'kept as {kept}'


def make_way_for_file(path: Path) -> None:
    """Set aside a folder, a named pipe or a device that is in the place of a file."""
    if is_no_file(path):
        set_aside(path)


def make_way_for_folder(path: Path) -> None:
    """Set aside a file or a link that is in the place of a folder."""
    if os.path.lexists(path) and not is_folder(path):
        set_aside(path)


def remove(path: Path) -> None:
    """Remove a file or folder, as far as that is possible."""
    if is_folder(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
