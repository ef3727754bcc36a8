# SPDX-License-Identifier: Apache-2.0
"""The liveness record: one page of shared memory per worker process.

The manager creates the record, the worker writes it, and it outlives both. Reading it takes no
message and no time: whether the process is running, which item it is processing, and why it is
exiting. That also holds for a process that has just died, and for a restarted manager.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import threading
import time
from pathlib import Path
from typing import NamedTuple

from worker_pipeline.system.files import identity_of
from worker_pipeline.system.proc import private_memory, start_of

SIZE = mmap.PAGESIZE
# The exit reason follows the fields; it ends with a zero byte.
_EXIT_REASON = slice(256, 1280)


class LivenessSnapshot(NamedTuple):
    """The fields of a liveness record at one moment. Times in ns of the monotonic clock."""

    run_id: int  # the pipeline run that the worker belongs to
    config_hash: int  # digest of the configuration that the worker was started with
    pid: int  # 0 until the process has registered
    process_start: int  # start time of the process in clock ticks: tells a reused pid
    heartbeat_at: int  # when the process last got CPU time
    active_item: int  # number of the item being processed; 0: none
    active_since: int  # when its processing started
    finished_items: int  # how many items have been processed
    registered_at: int  # when the process registered as this worker
    busy_ns: int  # total processing time of the finished items
    measures_memory: int = 0  # set by the manager: whether the next two are filled in
    fresh_memory: int = 0  # private memory before the first item that was measured, bytes
    active_memory: int = 0  # private memory at the start of the active item, bytes


# Each field takes eight bytes, which are written at once, so no reader sees half a value.
_FIELD_COUNT = len(LivenessSnapshot._fields)
(
    _RUN_ID,
    _CONFIG_HASH,
    _PID,
    _PROCESS_START,
    _HEARTBEAT_AT,
    _ACTIVE_ITEM,
    _ACTIVE_SINCE,
    _FINISHED_ITEMS,
    _REGISTERED_AT,
    _BUSY_NS,
    _MEASURES_MEMORY,
    _FRESH_MEMORY,
    _ACTIVE_MEMORY,
) = range(_FIELD_COUNT)


# Those of a worker that do not change once it is registered. The pid is the last one.
_IDENTITY = (_RUN_ID, _CONFIG_HASH, _PROCESS_START, _REGISTERED_AT, _PID)
Identity = tuple[int, int] | None


def _map(path: Path, *, create: bool) -> tuple[mmap.mmap, Identity]:
    """Open or create the file of a record; return its memory and its identity. Raises OSError."""
    flags = os.O_RDWR | (os.O_CREAT | os.O_EXCL if create else 0)
    descriptor = os.open(path, flags, 0o600)
    try:
        if create:
            os.fchmod(descriptor, 0o600)  # whatever umask the stage has set
            # Allocate it now: writing to a page without memory raises SIGBUS.
            os.posix_fallocate(descriptor, 0, SIZE)
        found = os.fstat(descriptor)
        return mmap.mmap(descriptor, SIZE), (found.st_dev, found.st_ino)
    except OSError:
        if create:
            path.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


class LivenessRecord:
    """The record of one worker process, mapped into memory."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        """Open a record, or create it. Raises OSError."""
        self.path = path
        self._memory, self._file = _map(path, create=create)
        self._fields = memoryview(self._memory).cast('Q')
        # Held while fields are written that belong together, or the memory is replaced.
        self._lock = threading.Lock()
        self._registered: tuple[int, ...] = ()  # in the worker: the fields that identify it

    @classmethod
    def prepare(cls, path: Path, run_id: int, config_hash: int) -> LivenessRecord:
        """Create the record of a process that is about to be started.

        Args:
            path: The file to create.
            run_id: The pipeline run that the worker belongs to.
            config_hash: The digest of its configuration.

        Raises OSError where shared memory is full.
        """
        record = cls(path, create=True)
        record._fields[_RUN_ID], record._fields[_CONFIG_HASH] = run_id, config_hash
        return record

    # -- called by the worker ------------------------------------------------------------------

    def register(self) -> None:
        """Enter this process as the worker."""
        fields = self._fields
        fields[_HEARTBEAT_AT] = fields[_REGISTERED_AT] = time.monotonic_ns()
        fields[_PROCESS_START] = start_of(os.getpid()) or 0
        fields[_PID] = os.getpid()
        self._registered = tuple(fields[each] for each in _IDENTITY)

    def heartbeat(self) -> None:
        """Record that this process is running, and which one it is, should that be damaged."""
        fields = self._fields
        if self._registered and fields[_PID] != self._registered[-1]:
            for index, value in zip(_IDENTITY, self._registered, strict=True):
                fields[index] = value
        fields[_HEARTBEAT_AT] = time.monotonic_ns()

    def keep_in_place(self) -> bool:
        """Make the file anew if it is gone, or another one; return whether that was necessary.

        Raises OSError, as while the folder is gone.
        """
        if identity_of(self.path) == self._file:
            return False
        new = self.path.with_name(f'{self.path.name}.new')
        new.unlink(missing_ok=True)
        memory, file = _map(new, create=True)
        with self._lock:
            memory[:] = self._memory[:]
            self._replace(memory, file)
        new.replace(self.path)
        return True

    def start_item(self, number: int) -> None:
        """Record that the processing of an item starts now."""
        if self._fields[_MEASURES_MEMORY]:
            self._fields[_ACTIVE_MEMORY] = private_memory()
            if not self._fields[_FRESH_MEMORY] and not self._fields[_FINISHED_ITEMS]:
                self._fields[_FRESH_MEMORY] = self._fields[_ACTIVE_MEMORY]
        with self._lock:
            # The time first: otherwise a new item would look as old as the one before it.
            self._fields[_ACTIVE_SINCE] = time.monotonic_ns()
            self._fields[_ACTIVE_ITEM] = number

    def finish_item(self) -> None:
        """Record that the active item has been processed."""
        with self._lock:
            self._fields[_ACTIVE_ITEM] = 0
            self._fields[_BUSY_NS] += time.monotonic_ns() - self._fields[_ACTIVE_SINCE]
            self._fields[_FINISHED_ITEMS] += 1

    def set_exit_reason(self, reason: str) -> None:
        """Record why this process is about to exit; a long text is cut to 1023 bytes."""
        room = _EXIT_REASON.stop - _EXIT_REASON.start
        text = reason.encode(errors='replace')[: room - 1]
        with self._lock:
            self._memory[_EXIT_REASON] = text.ljust(room, b'\0')

    # -- called by the manager -----------------------------------------------------------------

    def measure_memory(self, *, wanted: bool) -> None:
        """Have the worker measure its memory at the start of each item."""
        self._fields[_MEASURES_MEMORY] = wanted

    def follow(self) -> None:
        """Read the file that the worker has made in the place of this one, if it has."""
        if identity_of(self.path) != self._file:
            with contextlib.suppress(OSError, ValueError):  # there is none, or not yet
                memory, file = _map(self.path, create=False)
                self._replace(memory, file)

    def read(self) -> LivenessSnapshot:
        """Return all fields."""
        return LivenessSnapshot(*self._fields[:_FIELD_COUNT])

    def exit_reason(self) -> str:
        """Return the reason that the worker recorded; '' if it recorded none."""
        return self._memory[_EXIT_REASON].partition(b'\0')[0].decode(errors='ignore')

    def alive(self) -> bool:
        """Return whether the registered process is alive."""
        snapshot = self.read()
        return snapshot.pid > 0 and start_of(snapshot.pid) == snapshot.process_start

    def _replace(self, memory: mmap.mmap, file: Identity) -> None:
        # The former memory is unmapped with its last user, which may be another thread.
        self._memory, self._fields, self._file = memory, memoryview(memory).cast('Q'), file

    def close(self, *, remove: bool = False) -> None:
        """Unmap the record; ``remove``: also delete its file."""
        self._fields.release()
        self._memory.close()
        if remove:
            self.path.unlink(missing_ok=True)
