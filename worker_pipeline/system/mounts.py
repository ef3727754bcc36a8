# SPDX-License-Identifier: Apache-2.0
"""The file systems that are mounted (proc(5)), and which of them are in memory."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_MOUNT_POINTS = Path('/proc/self/mountinfo')
_IN_MEMORY = frozenset({'tmpfs', 'ramfs'})


class Mount(NamedTuple):
    """A mounted file system."""

    device: str  # MAJOR:MINOR
    point: Path
    kind: str
    options: str  # of the file system, separated by commas


def mounts() -> Iterator[Mount]:
    """Yield the mounts that this process sees. Raises OSError and ValueError."""
    for line in os.fsdecode(_MOUNT_POINTS.read_bytes()).splitlines():
        fields, _, described = line.partition(' - ')
        _, _, device, _, point, *_ = fields.split()
        kind, *_, options = described.split(' ')
        yield Mount(device, Path(point), kind, options)


def is_in_memory(folder: Path) -> bool:
    """Return whether the files in a folder take memory and no disk; False if it cannot be known."""
    with contextlib.suppress(OSError, ValueError):
        device = os.stat(folder).st_dev
        number = f'{os.major(device)}:{os.minor(device)}'
        return any(each.device == number and each.kind in _IN_MEMORY for each in mounts())
    return False
