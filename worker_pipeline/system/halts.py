# SPDX-License-Identifier: Apache-2.0
"""Whether something outside a process has taken it off the processor."""

from __future__ import annotations

import contextlib
import functools
from pathlib import Path

from worker_pipeline.system.mounts import mounts
from worker_pipeline.system.proc import read_stat

_TRACED = b't'


def is_held(pid: int) -> bool:
    """Return whether a debugger has stopped a process, or its control group is frozen."""
    stat = read_stat(pid)
    return stat is not None and (stat[1][:1] == [_TRACED] or is_frozen(pid))


def is_traced(pid: int) -> bool:
    """Return whether a debugger is attached to a process, stopped or not."""
    tracer = [each for each in _lines(Path(f'/proc/{pid}/status')) if each.startswith('TracerPid:')]
    return bool(tracer) and tracer[0].split()[1] != '0'


def is_frozen(pid: int) -> bool:
    """Return whether the control group of a process is frozen (cgroups(7), version 1 or 2)."""
    try:
        lines = Path(f'/proc/{pid}/cgroup').read_text().splitlines()
    except OSError:
        return False
    for line in lines:
        # "0::/path" is version 2, "6:freezer:/path" a hierarchy of version 1.
        _, _, rest = line.partition(':')
        controllers, _, path = rest.partition(':')
        if not controllers:
            file, text = 'cgroup.events', 'frozen 1'
        elif 'freezer' in controllers.split(','):
            file, text = 'freezer.state', 'FROZEN'
        else:
            continue
        root = _mount_of('cgroup' if controllers else 'cgroup2')
        if root is not None and text in _lines(root / path.lstrip('/') / file):
            return True
    return False


@functools.cache
def _mount_of(kind: str) -> Path | None:
    """Return where the hierarchy of version 2 (``cgroup2``), or the freezer's, is mounted."""
    with contextlib.suppress(OSError, ValueError):
        for each in mounts():
            is_wanted = kind == 'cgroup2' or 'freezer' in each.options.split(',')
            if each.kind == kind and is_wanted:
                return each.point
    return None


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:
        return []
