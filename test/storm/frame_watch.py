# SPDX-License-Identifier: Apache-2.0
"""Watches the frames of a storm: their memory, and the log."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psutil

from storm.frame_stages import BY_SOCKET, TORN

MAPPED_PERIOD = 2.0  # s; reading the mappings takes some milliseconds for each process
MAX_LINES = 5  # of the log, for each kind of problem
MB = 1e6
# By figure: the text that is counted in the log.
TORN_FRAMES, GONE_FRAMES = 'torn', 'frames gone before they were read'
LOGGED = {
    TORN_FRAMES: TORN,
    GONE_FRAMES: 'FrameGoneError: ',
    'frames by sockets': BY_SOCKET,
    'workers that found no room for a frame': 'frames are sent by socket instead of shared memory',
}
ALLOWED, MOST = 'frame memory allowed [MB]', 'frame memory at most [MB]'
AT_START, AT_END = 'files in shared memory at the start', 'files in shared memory at the end'
FIGURES = (*LOGGED, ALLOWED, MOST, AT_START, AT_END)


class FrameWatch:
    """Watches a pipeline's folder in shared memory. ``limit``: bytes that its frames may take.

    Create it before the pipeline. Memory counts as long as there is a file, or a process that has a
    removed file mapped.
    """

    def __init__(self, folder: Path, limit: float) -> None:
        self._folder = folder
        self._frames = folder / 'frames'
        self._limit = limit
        self._at_start = self._files()
        self._at_end: list[str] = []
        self._most = 0  # bytes
        self._left_by_the_dead: list[str] = []
        self._looked_at = 0.0
        name = re.escape(str(self._frames))
        self._removed = re.compile(
            rf'^\S+ \S+ \S+ \S+ (\d+) +{name}/\S+ \(deleted\)\n(?:.*\n)*?Rss: +(\d+) kB',
            re.MULTILINE,
        )

    def sample(self, pids: Iterable[int]) -> None:
        """Sample the memory. ``pids``: the processes that may have frames mapped."""
        blocks = self._blocks()
        now = time.monotonic()
        if now - self._looked_at >= MAPPED_PERIOD:
            self._looked_at = now
            for pid in pids:
                blocks |= self._removed_and_mapped_by(pid)
        self._most = max(self._most, sum(blocks.values()))

    def check_leftovers(self, pids: Iterable[int]) -> bool:
        """Look for frames of dead processes, when no item is in flight any more.

        Those that a living process has mapped are in use: stages of the storm keep their last one.

        Args:
            pids: The processes that may have frames mapped.

        Returns:
            Whether there are none.
        """
        maps = ''.join(_maps_of(pid) for pid in pids)
        self._left_by_the_dead = [
            each.name
            for each in self._frames.glob('*')
            if not psutil.pid_exists(int(each.name.partition('.')[0])) and f'{each}\n' not in maps
        ]
        return not self._left_by_the_dead

    def check_after_exit(self) -> None:
        """Look for files, after the pipeline has exited."""
        self._at_end = self._files()

    def figures(self, log: str) -> dict[str, Any]:
        """Return the figures, from the samples and the log."""
        return {key: log.count(text) for key, text in LOGGED.items()} | {
            ALLOWED: self._limit / MB,
            MOST: self._most / MB,
            AT_START: len(self._at_start),
            AT_END: len(self._at_end),
        }

    def problems(self, log: str) -> list[str]:
        """Return the broken promises."""
        found = []
        for key in (TORN_FRAMES, GONE_FRAMES):
            lines = [line for line in log.splitlines() if LOGGED[key] in line]
            if lines:
                found += [f'{key}: {len(lines)}', *(f'  {line}' for line in lines[:MAX_LINES])]
        if self._most > self._limit:
            found.append(f'{MOST}: found {self._most / MB:.1f}; allowed: {self._limit / MB:g}')
        if self._left_by_the_dead:
            found.append(f'frames left by the dead: found {", ".join(self._left_by_the_dead)}')
        if self._at_end != self._at_start:
            found.append(
                f'{self._folder}: found {self._at_end} at the end; at the start: {self._at_start}'
            )
        return found

    def _files(self) -> list[str]:
        """Return all files of the pipeline, with their sizes in bytes."""
        files = [each for each in self._folder.rglob('*') if each.is_file()]
        return sorted(f'{each.relative_to(self._folder)} ({each.stat().st_size})' for each in files)

    def _blocks(self) -> dict[int, int]:
        """Return the memory of the files with frames, in bytes by inode."""
        blocks = {}
        for each in self._frames.glob('*'):
            try:
                found = each.stat()
            except FileNotFoundError:
                continue  # it was removed meanwhile
            blocks[found.st_ino] = found.st_blocks * 512
        return blocks

    def _removed_and_mapped_by(self, pid: int) -> dict[int, int]:
        """Return the same for removed files that a process has mapped."""
        try:
            maps = Path(f'/proc/{pid}/smaps').read_text()
        except OSError:
            return {}  # the process has exited
        found = self._removed.findall(maps)
        return {int(inode): int(resident) * 1024 for inode, resident in found}


def _maps_of(pid: int) -> str:
    """Return the mappings of a process; none if it has exited."""
    try:
        return Path(f'/proc/{pid}/maps').read_text()
    except OSError:
        return ''
