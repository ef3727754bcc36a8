# SPDX-License-Identifier: Apache-2.0
"""The lines that wait to be written, while nobody reads the manager's output."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

# How much may wait, bytes.
MAX_BYTES = 1_000_000
# Additional room for the manager's own lines, so that its workers cannot crowd them out, bytes.
RESERVED = 250_000


class _Entry(NamedTuple):
    text: bytes
    lines: int
    missing: int  # of a note: the lines that it stands for


class Backlog:
    """A bounded queue of lines for one stream.

    What does not fit is counted, and noted where it is missing once there is room again.
    """

    def __init__(self, max_bytes: int = MAX_BYTES, reserved: int = RESERVED) -> None:
        self.dropped = 0  # lines, in all
        self._limits = max_bytes, max_bytes + reserved
        self._entries: deque[_Entry] = deque()
        self._taken: list[_Entry] = []
        self._size = 0
        self._missing = 0  # lines since the last note
        self._missing_since = 0.0  # s

    @property
    def size(self) -> int:
        """Return how many bytes wait."""
        return self._size

    @property
    def has_lines(self) -> bool:
        """Return whether lines wait."""
        return bool(self._entries)

    @property
    def is_empty(self) -> bool:
        """Return whether nothing is to be written, not even a note."""
        return not self._entries and not self._missing

    def add(self, text: bytes, now: float, *, is_own: bool = False) -> None:
        """Add lines, with their line ends; drop them if there is no room.

        Args:
            text: The lines, most often one.
            now: s.
            is_own: Whether they are the manager's own, rather than a worker's.
        """
        lines = text.count(b'\n') or 1
        if self._size + len(text) > self._limits[is_own]:
            self._drop(lines, now)
            return
        self._note_missing(now)
        self._push(_Entry(text, lines, 0))

    def take(self, size: int, now: float) -> bytes:
        """Remove and return lines of about ``size`` bytes; b'' if there are none.

        Args:
            size: Not many more bytes than these are returned.
            now: s.
        """
        if not self._entries:
            self._note_missing(now)
        self._taken = []
        while self._entries and size > 0:
            entry = self._entries.popleft()
            self._size -= len(entry.text)
            size -= len(entry.text)
            self._taken.append(entry)
        return b''.join(entry.text for entry in self._taken)

    def drop_taken(self, now: float) -> None:
        """Count what was taken last as not written. ``now``: s."""
        self._drop(sum(entry.lines for entry in self._taken), now)
        self._missing += sum(entry.missing for entry in self._taken)
        self._taken = []

    def _drop(self, lines: int, now: float) -> None:
        if not self._missing:
            self._missing_since = now
        self._missing += lines
        self.dropped += lines

    def _push(self, entry: _Entry) -> None:
        self._entries.append(entry)
        self._size += len(entry.text)

    def _note_missing(self, now: float) -> None:
        if self._missing:
            note = gap_note(self._missing, now - self._missing_since)
            self._push(_Entry(note.encode(), 0, self._missing))
            self._missing = 0


def gap_note(lines: int, seconds: float) -> str:
    """Return the line that stands in the place of lines that were not written.

    Args:
        lines: How many.
        seconds: Within which time, s.
    """
    return (
        f'[worker_pipeline] {lines} lines are missing here: '
        f'this output was not read, or could not be written, for {seconds:.1f} s\n'
    )
