"""What a worker process shows of itself in shared memory, for its manager and for the next one.

A page of memory in a file: the manager makes it, the worker writes it, and it outlives both. It
tells in no time, without a message, whether the process gets to run at all, exactly which item it
has in work, and why it thinks it has to end: also of a process that has just died.
"""

from __future__ import annotations

import mmap
import os
import time
from pathlib import Path
from typing import NamedTuple

from worker_pipeline.runtime.proc import start_of

# The fields, eight bytes each, so that each is written whole.
_FIELDS = ('run', 'fit', 'pid', 'started', 'beat', 'in_work', 'since', 'done', 'born', 'busy')
_RUN, _FIT, _PID, _STARTED, _BEAT, _IN_WORK, _SINCE, _DONE, _BORN, _BUSY = range(len(_FIELDS))
SIZE = mmap.PAGESIZE
# Behind them the last words, which end with a zero.
_WORDS = slice(256, 1280)


class Signs(NamedTuple):
    """What was read."""

    run: int  # the run of the pipeline it belongs to
    fit: int  # a digest of the configuration it was born with
    pid: int  # 0: nobody was born
    started: int  # of the process, as the kernel tells, so that a pid used again is noticed
    beat: int  # ns, monotonic: when it last got to run
    in_work: int  # the number of the item in work; 0: none
    since: int  # ns, monotonic: since when it is
    done: int  # how many items were ended
    born: int  # ns, monotonic: since when the process is this worker
    busy: int  # ns: how long it has been at items that were ended


class VitalSigns:
    """One process's page."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        self.path = path
        flags = os.O_RDWR | (os.O_CREAT | os.O_EXCL if create else 0)
        descriptor = os.open(path, flags, 0o600)
        try:
            if create:
                # Room for all of it, now: a page without would end whoever writes it, by SIGBUS.
                os.posix_fallocate(descriptor, 0, SIZE)
            self._memory = mmap.mmap(descriptor, SIZE)
        except OSError:
            if create:
                path.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)
        self._fields = memoryview(self._memory).cast('Q')

    @classmethod
    def prepare(cls, path: Path, run: int, fit: int) -> VitalSigns:
        """A page for a process that is about to be born. OSError: no room."""
        signs = cls(path, create=True)
        signs._fields[_RUN], signs._fields[_FIT] = run, fit
        return signs

    # The worker's half.

    def born(self) -> None:
        """This process is the one."""
        self.beat()
        self._fields[_BORN] = time.monotonic_ns()
        self._fields[_STARTED] = start_of(os.getpid()) or 0
        self._fields[_PID] = os.getpid()

    def beat(self) -> None:
        """This process gets to run."""
        self._fields[_BEAT] = time.monotonic_ns()

    def begin(self, number: int) -> None:
        """The item with this number is in work from now on."""
        self._fields[_SINCE] = time.monotonic_ns()
        self._fields[_IN_WORK] = number

    def end(self) -> None:
        """No item is in work any more."""
        self._fields[_IN_WORK] = 0
        self._fields[_BUSY] += time.monotonic_ns() - self._fields[_SINCE]
        self._fields[_DONE] += 1

    def say(self, words: str) -> None:
        """Leave last words; what is too long is cut."""
        room = _WORDS.stop - _WORDS.start
        self._memory[_WORDS] = words.encode(errors='replace')[: room - 1].ljust(room, b'\0')

    # The manager's half.

    def read(self) -> Signs:
        """All of it."""
        return Signs(*self._fields[: len(_FIELDS)])

    def words(self) -> str:
        """Its last words; none where it had no time for any."""
        return self._memory[_WORDS].partition(b'\0')[0].decode(errors='ignore')

    def alive(self) -> bool:
        """Whether the process that was born lives."""
        signs = self.read()
        return signs.pid > 0 and start_of(signs.pid) == signs.started

    def close(self, *, remove: bool = False) -> None:
        """Let go of the page; ``remove``: and take it away."""
        self._fields.release()
        self._memory.close()
        if remove:
            self.path.unlink(missing_ok=True)
