# SPDX-License-Identifier: Apache-2.0
"""The journal: a write-ahead log of the changes to the ledgers.

One file for all stages of a manager, in the pipeline's folder in shared memory, so that no write
waits for a disk: it survives a crash of the manager, not of the machine. All changes of one event
(an answer booked, its output accepted by the next stage, the next items assigned) are one *entry*,
written in one call: after a crash an entry is there completely or not at all. Effects of an event
(messages sent) follow only after its entry has been written.

The file begins with a line that names its format. An entry is its length, a checksum, and a
marshalled list of changes (see ``records``). The checksum continues that of the entry before, so
that an entry counts only behind all earlier ones. The file ends with an *end mark*, which each
entry overwrites and writes anew behind itself: a file that was cut between two entries, or in which
an entry is missing for lack of space, has none. The first entry is a checkpoint: a snapshot of
everything. When the file has grown enough, it is replaced by a new one that starts with another
checkpoint.

Reading uses all entries before the first damage. Nothing is unmarshalled whose checksum is wrong.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import struct
import time
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

from worker_pipeline.core.ledger import Record
from worker_pipeline.recovery import records
from worker_pipeline.recovery.records import (
    KINDS,
    Change,
    FlowRecord,
    OutputRecord,
    StageSnapshot,
)
from worker_pipeline.system.files import is_same_file, open_file

_ENTRY = struct.Struct('<II')  # its length and its checksum
# The version of the format. Journals of other versions are not read.
FORMAT = 5
_PREFIX = b'worker_pipeline journal '
_FIRST_LINE = _PREFIX + b'%d\n' % FORMAT
# How many bytes at the end are looked at; less than any checkpoint has.
_TAIL = 16
# The least growth, in bytes, after which the file is compacted.
COMPACT_AFTER = 8_000_000
# The number of entries after which it is compacted if it has outgrown its snapshot: the next
# manager has to repeat them before it can do anything, at some 20 us each.
COMPACT_AFTER_ENTRIES = 1000
# How long to wait after a checkpoint that failed for lack of space, s.
RETRY_INTERVAL = 1.0


class Recovered(NamedTuple):
    """The content of a journal."""

    run_id: int  # the pipeline run that it belongs to
    snapshot: Mapping[str, StageSnapshot]  # by stage
    entries: list[list[Change]]  # since the snapshot, in order
    damage: str = ''  # what is wrong with the rest of the file
    is_complete: bool = True  # whether all changes are known that may have had effects


class UnreadableJournalError(Exception):
    """Nothing in a journal can be used."""


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
        self._size = 0  # without the end mark
        self._checksum = 0  # of all entries
        self._seen = 0, b''  # a position, and what was there when it was looked at last
        self._compact_at = 0
        self._outgrown_at = 0
        self._entries = 0  # since the checkpoint
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
        data = marshal.dumps((self._run_id, dict(snapshot)))
        checksum = zlib.crc32(data, zlib.crc32(_FIRST_LINE))
        new = self._path.with_suffix('.new')
        file = os.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            # One after the other: joined, they would take the memory a second time.
            position = 0
            head = _ENTRY.pack(len(data), checksum)
            for part in (_FIRST_LINE, head, data, _end_mark(checksum)):
                _write(file, part, position)
                position += len(part)
            new.replace(self._path)
        except OSError:
            os.close(file)
            new.unlink(missing_ok=True)  # others need the space that is left
            self._retry_at = time.monotonic() + RETRY_INTERVAL
            raise
        self.close()
        self._file, self._size = file, len(_FIRST_LINE) + _ENTRY.size + len(data)
        self._checksum = checksum
        self._seen = self._read_tail()
        self._compact_at = COMPACT_AFTER + 4 * len(data)
        self._outgrown_at = 2 * self._size
        self._entries = 0
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
        checksum = zlib.crc32(data, self._checksum)
        try:
            _write(self._file, _packed(data, checksum), self._size)
        except OSError:
            self._broken = True
            # A partial entry is useless, and takes space. The end mark goes too: one is missing.
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._size)
            raise
        self._size += _ENTRY.size + len(data)
        self._checksum = checksum
        self._entries += 1

    @property
    def needs_compaction(self) -> bool:
        """Return whether it is time for a checkpoint."""
        is_long = self._entries > COMPACT_AFTER_ENTRIES and self._size > self._outgrown_at
        is_due = self._broken or is_long or self._size > self._compact_at
        return is_due and time.monotonic() >= self._retry_at

    def is_in_place(self) -> bool:
        """Return whether the file is still the one that is written, and nobody has cut it.

        Where it was cut before the end that was seen last, there are zeros by now, or nothing.
        """
        if self._file < 0:
            return True
        position, tail = self._seen
        is_whole = os.pread(self._file, _TAIL, position) == tail
        self._seen = self._read_tail()
        return is_whole and is_same_file(self._file, self._path)

    def _read_tail(self) -> tuple[int, bytes]:
        """Return where the last bytes before the end mark are, and these."""
        position = self._size - _TAIL
        return position, os.pread(self._file, _TAIL, position)

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _packed(data: bytes, checksum: int) -> bytes:
    """Return an entry and the end mark behind it."""
    return _ENTRY.pack(len(data), checksum) + data + _end_mark(checksum)


def _end_mark(checksum: int) -> bytes:
    """Return the end mark of a file, from the checksum of its entries."""
    return _ENTRY.pack(0, checksum ^ 0xFFFFFFFF)


def _write(file: int, data: bytes, position: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, position)
        view, position = view[written:], position + written


def read(path: Path) -> Recovered | None:
    """Return the content of a journal up to its first damage; None if there is none.

    Raises UnreadableJournalError if nothing in it can be used.
    """
    try:
        with open_file(path) as file:
            entries, left, damage = _entries(file)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UnreadableJournalError(f'it cannot be read: {error.strerror}') from error
    if not entries:
        raise UnreadableJournalError(f'its checkpoint is damaged: {damage}')
    try:
        (run_id, snapshot), *changes = map(marshal.loads, entries)
    except (ValueError, EOFError, TypeError) as error:
        raise UnreadableJournalError(f'an entry has another structure: {error}') from error
    if not damage and left:
        return Recovered(run_id, snapshot, changes, f'{left} bytes follow its end mark')
    return Recovered(run_id, snapshot, changes, damage, is_complete=not damage)


def _wrong_beginning(data: bytes) -> str:
    """Return what is wrong with a file that does not begin like a journal of this format."""
    line = data.partition(b'\n')[0]
    if line.startswith(_PREFIX) and line[len(_PREFIX) :].isdigit():
        found = line[len(_PREFIX) :].decode()
        return f'found format {found}; allowed: {FORMAT}, that of this version'
    return 'it does not begin like a journal; it is damaged, or of a version before format 4'


def _entries(file: BinaryIO) -> tuple[list[bytes], int, str]:
    """Return the intact entries of a file, how many bytes follow, and what is wrong there.

    What follows is not read: a damaged file may be larger than the memory. Raises OSError, and
    UnreadableJournalError for a file that is none of this format.
    """
    size = os.fstat(file.fileno()).st_size
    beginning = file.read(len(_FIRST_LINE))
    if beginning != _FIRST_LINE:
        raise UnreadableJournalError(_wrong_beginning(beginning + file.read(_TAIL)))
    entries: list[bytes] = []
    left, checksum = size - len(_FIRST_LINE), zlib.crc32(_FIRST_LINE)
    while left >= _ENTRY.size:
        length, expected = _ENTRY.unpack(file.read(_ENTRY.size))
        if not length and expected == checksum ^ 0xFFFFFFFF:
            return entries, left - _ENTRY.size, ''
        entry = file.read(length) if length <= left - _ENTRY.size else b''
        found = zlib.crc32(entry, checksum)
        if not entry or found != expected:
            return entries, left, f'the last {left} of {size} bytes are not intact'
        entries.append(entry)
        left, checksum = left - _ENTRY.size - length, found
    if not left:
        return entries, left, 'its end mark is missing'
    return entries, left, f'the last {left} of {size} bytes are incomplete'
