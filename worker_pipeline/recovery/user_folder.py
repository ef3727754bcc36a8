# SPDX-License-Identifier: Apache-2.0
"""Where a user's pipelines keep their state: a folder in memory that is this user's alone.

``/dev/shm`` is open to all users: whoever makes a folder with our name first keeps us out of it. So
the folders that the system makes for one user or one service come first, and in ``/dev/shm``
another name is used if somebody else has the usual one.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from worker_pipeline.system.mounts import is_in_memory

# Of systemd's RuntimeDirectory=: several are separated by colons. It is removed when the service
# ends, which RuntimeDirectoryPreserve= has to prevent: workers outlive their manager.
SERVICE_VARIABLE = 'RUNTIME_DIRECTORY'
# Of a user's session (XDG Base Directory Specification).
SESSION_VARIABLE = 'XDG_RUNTIME_DIR'
# Such a folder may be small, as a part of the memory. Frames take at most half of it; this much has
# room for the default frame_memory.
MIN_SIZE = 512_000_000
_NAME = 'worker_pipeline'


def user_folders(shared_memory: Path) -> list[Path]:
    """Return the folders in which a pipeline of this user may be, the preferred one first.

    Not all of them exist. Only own ones are among them, and names that are free.

    Args:
        shared_memory: ``/dev/shm``.
    """
    private = [folder / _NAME for folder in _runtime_folders() if is_usable(folder)]
    base = shared_memory if os.access(shared_memory, os.W_OK) else Path(tempfile.gettempdir())
    return [*(each for each in private if _is_ours_or_free(each)), _folder_in(base)]


def _runtime_folders() -> Iterator[Path]:
    for variable in (SERVICE_VARIABLE, SESSION_VARIABLE):
        first = os.environ.get(variable, '').partition(':')[0]
        if os.path.isabs(first):
            yield Path(first)


def is_usable(folder: Path) -> bool:
    """Return whether a folder is our own, in memory, and large enough for a pipeline."""
    with contextlib.suppress(OSError):
        return (
            is_ours(folder)
            and not stat.S_IMODE(folder.stat().st_mode) & 0o022  # nobody else may write there
            and os.access(folder, os.W_OK | os.X_OK)
            and is_in_memory(folder)
            and _size_of(folder) >= MIN_SIZE
        )
    return False


def is_ours(path: Path) -> bool:
    """Return whether there is a folder of this user, itself and no link to one."""
    return _owner_is_us(path, if_absent=False)


def _is_ours_or_free(path: Path) -> bool:
    return _owner_is_us(path, if_absent=True)


def _owner_is_us(path: Path, *, if_absent: bool) -> bool:
    """Look once: another manager of ours may make or remove the folder at this moment."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return if_absent
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()


def _size_of(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_blocks * found.f_frsize


def _folder_in(base: Path) -> Path:
    """Return our folder in one that all users may write to.

    If the usual name is another user's: the first of ours with another name, which nobody could
    know before, or such a name that is free.
    """
    usual = base / f'{_NAME}_{os.getuid()}'
    if _is_ours_or_free(usual):
        return usual
    with contextlib.suppress(OSError), os.scandir(base) as entries:
        prefix = f'{usual.name}.'
        found = sorted(each.name for each in entries if each.name.startswith(prefix))
        own = [base / name for name in found if is_ours(base / name)]
        if own:
            return own[0]
    return base / f'{usual.name}.{secrets.token_hex(8)}'
