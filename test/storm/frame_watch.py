"""What is looked at while frames travel through a storm: their memory, and what is said of them."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psutil

from storm.frame_stages import BY_SOCKET, TORN

MAPPED_PERIOD = 2.0  # s; to look through it takes some milliseconds for each process
TOLD = 5  # lines of the log, of a kind
MB = 1e6
# What the log says of frames: the key of its figure, and what is looked for.
TORN_ONES, GONE_ONES = 'torn', 'frames gone before they were read'
SAID = {
    TORN_ONES: TORN,
    GONE_ONES: 'FrameGoneError: ',
    'frames by sockets': BY_SOCKET,
    'workers that found no room for a frame': 'frames go by sockets instead of shared memory',
}
ALLOWED, MOST = 'frame memory allowed [MB]', 'frame memory at most [MB]'
AT_START, AT_END = 'files in shared memory at the start', 'files in shared memory at the end'
FIGURES = (*SAID, ALLOWED, MOST, AT_START, AT_END)


class FrameWatch:
    """Watches a pipeline's folder in shared memory. ``limit``: bytes that its frames may take.

    To be made before there is a pipeline. Memory counts as long as a file has it, or a process has
    it mapped, though its file was removed.
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

    def look(self, pids: Iterable[int]) -> None:
        """See how much memory there is. ``pids``: who may have some of it mapped."""
        blocks = self._blocks()
        now = time.monotonic()
        if now - self._looked_at >= MAPPED_PERIOD:
            self._looked_at = now
            for pid in pids:
                blocks |= self._removed_and_mapped_by(pid)
        self._most = max(self._most, sum(blocks.values()))

    def look_at_what_is_left(self) -> None:
        """When nothing is on its way any more, nobody needs a frame of the dead."""
        self._left_by_the_dead = [
            each.name
            for each in self._frames.glob('*')
            if not psutil.pid_exists(int(each.name.partition('.')[0]))
        ]

    def look_at_the_end(self) -> None:
        """When the pipeline has ended, however it did."""
        self._at_end = self._files()

    def figures(self, log: str) -> dict[str, Any]:
        """What was seen, and what the log says."""
        return {key: log.count(text) for key, text in SAID.items()} | {
            ALLOWED: self._limit / MB,
            MOST: self._most / MB,
            AT_START: len(self._at_start),
            AT_END: len(self._at_end),
        }

    def problems(self, log: str) -> list[str]:
        """What must not be."""
        found = []
        for key in (TORN_ONES, GONE_ONES):
            lines = [line for line in log.splitlines() if SAID[key] in line]
            if lines:
                found += [f'{key}: {len(lines)}', *(f'  {line}' for line in lines[:TOLD])]
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
        """All files of the pipeline, and how many bytes each has."""
        files = [each for each in self._folder.rglob('*') if each.is_file()]
        return sorted(f'{each.relative_to(self._folder)} ({each.stat().st_size})' for each in files)

    def _blocks(self) -> dict[int, int]:
        """The memory of the files with frames: bytes, by inode."""
        blocks = {}
        for each in self._frames.glob('*'):
            try:
                found = each.stat()
            except FileNotFoundError:
                continue  # it goes as we look
            blocks[found.st_ino] = found.st_blocks * 512
        return blocks

    def _removed_and_mapped_by(self, pid: int) -> dict[int, int]:
        """The same of what a process has of files that were removed."""
        try:
            maps = Path(f'/proc/{pid}/smaps').read_text()
        except OSError:
            return {}  # it is gone
        found = self._removed.findall(maps)
        return {int(inode): int(resident) * 1024 for inode, resident in found}
