# SPDX-License-Identifier: Apache-2.0
"""Removes the shared memory that killed processes leave behind.

Fast DDS communicates over files in ``/dev/shm``: a segment for each process and a port for each
address. A killed process cannot remove its own. This package's processes use none unless the user
has chosen such transports. Then the manager records the files that its pipeline uses, and in the
end removes those that no process uses any more, and no others.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from pathlib import Path

FOLDER = Path('/dev/shm')
SEGMENT = re.compile(r'fast(?:dds|rtps)_[0-9a-f]{16}')
MIN_AGE = 5.0  # s
PORT = re.compile(r'fast(?:dds|rtps)_port\d+')
# The beginning of a file while Boost creates it: nothing yet, or "not finished".
UNFINISHED = (b'', b'\0\0\0\0', b'\1\0\0\0')
CREATION_TIMEOUT = 1.0  # s; it takes some microseconds
MAPPED = re.compile(rf' {FOLDER}/(?:sem\.)?(fast(?:dds|rtps)_[0-9a-z]+)')


def mapped_by(process: str) -> set[str]:
    """Return the Fast DDS segments and ports that a process (a pid, or ``self``) has mapped."""
    try:
        return set(MAPPED.findall(Path(f'/proc/{process}/maps').read_text()))
    except OSError:
        return set()  # it has exited, or is another user's


class SharedMemoryUse:
    """The shared memory that a pipeline has used."""

    def __init__(self) -> None:
        self._used: set[str] = set()

    def note(self, pid: int | None = None) -> None:
        """Record the mapped files of a process, by default this one: its own and its peers'."""
        self._used |= mapped_by('self' if pid is None else str(pid))

    def sweep(self) -> list[str]:
        """Remove the recorded files that no process uses any more; return their names.

        Call it when this process has left the graph: its own mappings do not count.
        """
        in_use = _mapped_by_others()
        left = sorted(
            each
            for each in self._used
            # Only its owner needs a segment: other processes that map it have only read what the
            # dead process sent. A port belongs to all processes that write to it.
            if not _is_locked(each) and (SEGMENT.fullmatch(each) or each not in in_use)
        )
        for name in left:
            _remove(name)
        return left


def remove_orphaned_segments() -> list[str]:
    """Remove segments of killed processes that no manager has cleaned up; return their names.

    They would stay until the machine is restarted, and may be large. Ports are left alone, as
    others may be about to open them, and so are young segments, which may not be mapped yet.
    """
    now = time.time()
    old = set()
    for segment in FOLDER.glob('fast*_????????????????'):
        with contextlib.suppress(OSError):
            if now - segment.stat().st_mtime > MIN_AGE and segment.stat().st_uid == os.getuid():
                old.add(segment.name)
    left = sorted(each for each in old - _mapped_by_others() if not _is_locked(each)) if old else []
    for name in left:
        _remove(name)
    return left


def remove_unfinished_ports() -> list[str]:
    """Remove ports left unfinished by a killed creator; return their names.

    A process that opens one waits for ever, with all its threads.
    """
    removed = []
    for port in FOLDER.glob('fast*_port*'):
        with contextlib.suppress(OSError):
            old = time.time() - port.stat().st_mtime > CREATION_TIMEOUT
            if old and PORT.fullmatch(port.name) and _is_unfinished(port):
                _remove(port.name)
                removed.append(port.name)
    return removed


def _is_unfinished(port: Path) -> bool:
    try:
        with port.open('rb') as file:
            return file.read(4) in UNFINISHED
    except OSError:
        return False


def _mapped_by_others() -> set[str]:
    in_use: set[str] = set()
    for process in Path('/proc').glob('[0-9]*'):
        if process.name != str(os.getpid()):
            in_use |= mapped_by(process.name)
    return in_use


def _is_locked(name: str) -> bool:
    """Return whether a segment's owner is alive, which holds a lock on a file beside it.

    This also detects processes of other containers with the same /dev/shm, which are not in /proc
    here. This process's own lock, which Fast DDS keeps until the exit, does not count.
    """
    for kind in ('_el', '_sl'):
        lock = FOLDER / f'{name}{kind}'
        if lock in _open_files():
            continue
        try:
            descriptor = os.open(lock, os.O_RDWR)
        except FileNotFoundError:
            continue
        except OSError:
            return True  # another user's: assume that it is in use
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(descriptor)
    return False


def _open_files() -> set[Path]:
    files = set()
    for descriptor in Path('/proc/self/fd').iterdir():
        with contextlib.suppress(OSError):  # the descriptor of the listing itself is closed by now
            files.add(descriptor.readlink())
    return files


def _remove(name: str) -> None:
    for file in (name, f'{name}_el', f'{name}_sl', f'sem.{name}_mutex'):
        with contextlib.suppress(OSError):
            (FOLDER / file).unlink()
