# SPDX-License-Identifier: Apache-2.0
"""The journal: a write-ahead log of the changes to the ledgers.

One file for all stages of a manager, in the pipeline's folder in shared memory, so that no write
waits for a disk: it survives a crash of the manager, not of the machine. All changes of one event
(an answer booked, its output accepted by the next stage, the next items assigned) are one *entry*,
written in one call: after a crash an entry is there completely or not at all. Effects of an event
(messages sent) follow only after its entry has been written.

An entry is four bytes of length and a marshalled list of changes (see ``records``). The first entry
is a checkpoint: a snapshot of everything. When the file has grown enough, it is replaced by a new
one that starts with another checkpoint.
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
from worker_pipeline.recovery import records
from worker_pipeline.recovery.records import (
    KINDS,
    Change,
    FlowRecord,
    OutputRecord,
    StageSnapshot,
)

_LENGTH = struct.Struct('<I')
# The version of the format. Journals of other versions are not read.
FORMAT = 3
# The least growth, in bytes, after which the file is compacted.
COMPACT_AFTER = 8_000_000
# How long to wait after a checkpoint that failed for lack of space, s.
RETRY_INTERVAL = 1.0


class Recovered(NamedTuple):
    """The content of a journal."""

    run_id: int  # the pipeline run that it belongs to
    snapshot: Mapping[str, StageSnapshot]  # by stage
    entries: list[list[Change]]  # since the snapshot, in order


class Journal:
    """The journal of a running manager."""

    def __init__(self, path: Path, run_id: int, *, payloads: bool) -> None:
        """Prepare a journal; ``checkpoint`` creates the file.

        Args:
            path: The file; an earlier manager's is replaced by the first checkpoint.
            run_id: The pipeline run that it belongs to.
            payloads: Whether it contains the messages, or only which worker holds which item.
        """
        self.payloads = payloads
        self._path = path
        self._run_id = run_id
        self._file = -1
        self._size = 0
        self._compact_at = 0
        self._broken = False  # whether an entry is missing
        self._retry_at = 0.0
        self._changes: list[Change] = []

    def recorder(self, stage: str) -> Record:
        """Return the callback by which a stage's dispatcher records its changes."""
        return records.recorder(stage, self._changes, payloads=self.payloads)

    def append(self, stage: str, record: FlowRecord | OutputRecord) -> None:
        """Add a change of a stage to the next entry."""
        self._changes.append((stage, KINDS[type(record)], (*record,)))

    def checkpoint(self, snapshot: Mapping[str, StageSnapshot]) -> None:
        """Start a new file with a snapshot of all stages. Raises OSError; the old file then stays.

        Changes that are not committed yet are discarded: the snapshot contains them.
        """
        self._changes.clear()
        data = marshal.dumps((FORMAT, self._run_id, dict(snapshot)))
        new = self._path.with_suffix('.new')
        file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        try:
            _write(file, _LENGTH.pack(len(data)) + data)
            new.replace(self._path)
        except OSError:
            os.close(file)
            new.unlink(missing_ok=True)  # others need the space that is left
            self._retry_at = time.monotonic() + RETRY_INTERVAL
            raise
        self.close()
        self._file, self._size = file, len(data) + _LENGTH.size
        self._compact_at = COMPACT_AFTER + 4 * len(data)
        self._broken = False

    def commit(self) -> None:
        """Write the changes since the last call as one entry. Raises OSError.

        After an error nothing more is written until the next checkpoint: later entries cannot be
        interpreted without the missing one.
        """
        if not self._changes:
            return
        data = marshal.dumps(self._changes)
        self._changes.clear()
        if self._broken:
            return
        try:
            _write(self._file, _LENGTH.pack(len(data)) + data)
        except OSError:
            self._broken = True
            # A partial entry is useless, and takes space.
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._size)
            raise
        self._size += len(data) + _LENGTH.size

    @property
    def needs_compaction(self) -> bool:
        """Return whether it is time for a checkpoint."""
        is_due = self._broken or self._size > self._compact_at
        return is_due and time.monotonic() >= self._retry_at

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _write(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def read(path: Path) -> Recovered | None:
    """Return the content of a journal; None if there is none, or it is of another version."""
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
            break  # the manager was killed while it wrote this entry
        try:
            parts.append(marshal.loads(memoryview(data)[position : position + length]))
        except (ValueError, EOFError, TypeError):
            return None
        position += length
    if not parts or not isinstance(parts[0], tuple) or parts[0][0] != FORMAT:
        return None
    _, run_id, snapshot = parts[0]
    return Recovered(run_id, snapshot, parts[1:])
