# SPDX-License-Identifier: Apache-2.0
"""File systems in memory, among those that are mounted (proc(5))."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_MOUNT_POINTS = Path('/proc/self/mountinfo')
_IN_MEMORY = frozenset({b'tmpfs', b'ramfs'})


def is_in_memory(folder: Path) -> bool:
    """Return whether the files in a folder take memory and no disk; False if it cannot be known."""
    with contextlib.suppress(OSError, ValueError):
        device = os.stat(folder).st_dev
        number = f'{os.major(device)}:{os.minor(device)}'.encode()
        for line in _MOUNT_POINTS.read_bytes().splitlines():
            fields, _, described = line.partition(b' - ')
            if fields.split()[2] == number and described.split()[0] in _IN_MEMORY:
                return True
    return False
