# SPDX-License-Identifier: Apache-2.0
"""Freezes processes with a control group, as ``docker pause`` does."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

# Where version 2 is mounted: alone, or beside version 1.
ROOTS = (Path('/sys/fs/cgroup'), Path('/sys/fs/cgroup/unified'))


class Freezer:
    """A control group of version 2 of its own."""

    def __init__(self, root: Path, folder: Path) -> None:
        self._root = root
        self._folder = folder

    @classmethod
    def find(cls) -> Freezer | None:
        """Make a control group; None where that is not allowed."""
        for root in ROOTS:
            folder = root / f'worker_pipeline_test_{os.getpid()}'
            with contextlib.suppress(OSError):
                if (root / 'cgroup.controllers').exists():
                    folder.mkdir()
                    return cls(root, folder)
        return None

    @contextlib.contextmanager
    def frozen(self, pids: Iterable[int]) -> Iterator[None]:
        """Freeze these processes; afterwards they are in the group in which they were."""
        groups = {pid: self._group_of(pid) for pid in pids}
        for pid in groups:
            _write(self._folder / 'cgroup.procs', pid)
        _write(self._folder / 'cgroup.freeze', 1)
        try:
            yield
        finally:
            _write(self._folder / 'cgroup.freeze', 0)
            for pid, group in groups.items():
                with contextlib.suppress(OSError):
                    _write(self._root / group.lstrip('/') / 'cgroup.procs', pid)

    def _group_of(self, pid: int) -> str:
        lines = Path(f'/proc/{pid}/cgroup').read_text().splitlines()
        return next(each.removeprefix('0::') for each in lines if each.startswith('0::'))

    def close(self) -> None:
        """Remove the group."""
        deadline = time.monotonic() + 5.0
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                self._folder.rmdir()
                return
            time.sleep(0.05)


def _write(file: Path, value: int) -> None:
    file.write_text(str(value))
