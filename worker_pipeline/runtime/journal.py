"""The journal: every change of the ledgers, written down before anything comes of it.

One file for all the stages of a manager, in the pipeline's folder in shared memory, so that a
write never waits for a disk; it survives the manager, not the machine. The changes of one event
(an answer taken, its output accepted by the stage that follows, the next items given out) are one
*entry*, written in one call: after a crash an entry is there or it is not. What the event leads to
in the world (messages sent) is done only then.

An entry is four bytes of length and a marshalled list of changes ``(stage, name, arguments)``. The
first is a snapshot of everything; when the file has grown enough it begins anew with another.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from worker_pipeline.core.ledger import Record

_LENGTH = struct.Struct('<I')
# Bumped whenever what is written changes its meaning: an older journal is then not read.
FORMAT = 2
# What a journal may grow by before it begins anew, at least.
ROOM = 8_000_000
# After how long it is tried again to begin anew where there was no room for it, s.
AGAIN = 1.0

Change = tuple[str, str, tuple[Any, ...]]


class Recovered(NamedTuple):
    """What a journal held."""

    run: int
    snapshot: Mapping[str, Any]
    entries: list[list[Change]]  # since the snapshot, in order


class Journal:
    """Written by one manager; ``run`` is the pipeline's run that it belongs to.

    ``payloads``: with the items themselves. Without, it tells who holds what.
    """

    def __init__(self, path: Path, run: int, *, payloads: bool) -> None:
        self.payloads = payloads
        self._path = path
        self._run = run
        self._file = -1
        self._size = 0
        self._enough = 0
        self._has_gap = False
        self._not_before = 0.0
        self._changes: list[Change] = []

    def recorder(self, stage: str) -> Record:
        """Where a stage's ledger records its changes."""
        changes = self._changes
        if self.payloads:

            def record(name: str, arguments: tuple[Any, ...]) -> None:
                changes.append((stage, name, arguments))
        else:

            def record(name: str, arguments: tuple[Any, ...]) -> None:
                if name == 'accept':
                    source, stamp, _, now = arguments
                    arguments = source, stamp, None, now
                elif name == 'complete':
                    worker, number, outputs = arguments
                    arguments = worker, number, (None,) * len(outputs)
                changes.append((stage, name, arguments))

        return record

    def note(self, stage: str, name: str, *arguments: Any) -> None:
        """Record another fact than a ledger's; the reader is to know its name."""
        self._changes.append((stage, name, arguments))

    def begin(self, snapshot: Mapping[str, Any]) -> None:
        """Begin the file (anew): all there is, and changes from here on. OSError: no room."""
        self._changes.clear()
        data = marshal.dumps((FORMAT, self._run, dict(snapshot)))
        fresh = self._path.with_suffix('.new')
        file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        try:
            _write(file, _LENGTH.pack(len(data)) + data)
            fresh.replace(self._path)
        except OSError:
            os.close(file)
            fresh.unlink(missing_ok=True)  # what little room there is, is of use to others
            self._not_before = time.monotonic() + AGAIN
            raise
        self.close()
        self._file, self._size = file, len(data) + _LENGTH.size
        self._enough = ROOM + 4 * len(data)
        self._has_gap = False

    def commit(self) -> None:
        """Write the changes since the last call as one entry. OSError: no room; nothing changed.

        What follows an entry that is missing would be read as something else: nothing more is
        written until the journal has begun anew.
        """
        if not self._changes:
            return
        data = marshal.dumps(self._changes)
        self._changes.clear()
        if self._has_gap:
            return
        try:
            _write(self._file, _LENGTH.pack(len(data)) + data)
        except OSError:
            self._has_gap = True
            # Whatever was written of it is of no use, and takes room.
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._size)
            raise
        self._size += len(data) + _LENGTH.size

    @property
    def grown(self) -> bool:
        """Whether it is time to begin anew."""
        is_time = self._has_gap or self._size > self._enough
        return is_time and time.monotonic() >= self._not_before

    def close(self) -> None:
        """Write no more."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _write(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def read(path: Path) -> Recovered | None:
    """What a journal holds; None when there is none, or it is of another version."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    parts: list[Any] = []
    position = 0
    while position + _LENGTH.size <= len(data):
        (length,) = _LENGTH.unpack_from(data, position)
        position += _LENGTH.size
        if position + length > len(data):
            break  # killed while it wrote
        try:
            parts.append(marshal.loads(memoryview(data)[position : position + length]))
        except (ValueError, EOFError, TypeError):
            return None
        position += length
    if not parts or not isinstance(parts[0], tuple) or parts[0][0] != FORMAT:
        return None
    _, run, snapshot = parts[0]
    return Recovered(run, snapshot, parts[1:])
