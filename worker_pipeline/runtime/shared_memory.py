"""Cleaning up the shared memory that killed processes leave behind.

Fast DDS talks over files in ``/dev/shm``: a segment for each process and a port for each address.
A process that is killed cannot remove its own. What this manager's pipeline used is noted while it
lives; in the end what nobody uses any more is removed, and nothing of anybody else's.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

FOLDER = Path('/dev/shm')
MAPPED = re.compile(rf' {FOLDER}/(?:sem\.)?(fast(?:dds|rtps)_[0-9a-z]+)')


def mapped_by(process: str) -> set[str]:
    """The Fast DDS segments and ports that a process (a pid, or ``self``) has mapped now."""
    try:
        return set(MAPPED.findall(Path(f'/proc/{process}/maps').read_text()))
    except OSError:
        return set()  # it is gone, or another user's


class SharedMemoryUse:
    """What a pipeline has used of the shared memory."""

    def __init__(self) -> None:
        self._used: set[str] = set()

    def note(self, pid: int | None = None) -> None:
        """Note what a process (by default this one) has mapped: its own, and its peers'."""
        self._used |= mapped_by('self' if pid is None else str(pid))

    def sweep(self) -> list[str]:
        """Remove what was noted and no other living process has mapped; returns the names removed.

        To be called when this process has left the graph: what it has mapped itself is of no more
        use to it.
        """
        in_use: set[str] = set()
        for process in Path('/proc').glob('[0-9]*'):
            if process.name != str(os.getpid()):
                in_use |= mapped_by(process.name)
        left = sorted(self._used - in_use)
        for name in left:
            for file in (name, f'{name}_el', f'{name}_sl', f'sem.{name}_mutex'):
                with contextlib.suppress(OSError):
                    (FOLDER / file).unlink()
        return left
