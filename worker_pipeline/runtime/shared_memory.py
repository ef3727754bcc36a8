"""Cleaning up the shared memory that killed processes leave behind.

Fast DDS talks over files in ``/dev/shm``: a segment for each process and a port for each address.
A process that is killed cannot remove its own. Ours use none, but where the user's own choice of
transports holds. Then what this manager's pipeline used is noted while it lives; in the end what
nobody uses any more is removed, and nothing of anybody else's.
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
SETTLED = 5.0  # s
PORT = re.compile(r'fast(?:dds|rtps)_port\d+')
# What Boost writes at the beginning of a file while it makes it: nothing yet, and "not finished".
UNFINISHED = (b'', b'\0\0\0\0', b'\1\0\0\0')
MAKING = 1.0  # s; it takes some microseconds
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
        """Remove what was noted and is of no more use to anybody; returns the names removed.

        To be called when this process has left the graph: what it has mapped itself is of no more
        use to it.
        """
        in_use = _mapped_by_others()
        left = sorted(
            each
            for each in self._used
            # A segment is of use to its owner alone: whoever else still has it mapped only read
            # what the dead had sent. A port belongs to all who write to it.
            if not _is_locked(each) and (SEGMENT.fullmatch(each) or each not in in_use)
        )
        for name in left:
            _remove(name)
        return left


def sweep_the_dead() -> list[str]:
    """Remove the segments of processes that were killed with nobody left to clean up after them.

    They stay until the machine is restarted, and may be large. Only segments, whose names are used
    once, never ports, which others may be about to open; and only those that have lain for a while,
    as a new one is not mapped at once. Returns their names.
    """
    now = time.time()
    old = set()
    for segment in FOLDER.glob('fast*_????????????????'):
        with contextlib.suppress(OSError):
            if now - segment.stat().st_mtime > SETTLED and segment.stat().st_uid == os.getuid():
                old.add(segment.name)
    left = sorted(each for each in old - _mapped_by_others() if not _is_locked(each)) if old else []
    for name in left:
        _remove(name)
    return left


def sweep_the_unfinished() -> list[str]:
    """Remove the ports that somebody was killed over while he made them; returns their names.

    Whoever opens one waits for ever, all his threads with him, for it to be finished.
    """
    removed = []
    for port in FOLDER.glob('fast*_port*'):
        with contextlib.suppress(OSError):
            old = time.time() - port.stat().st_mtime > MAKING
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
    """Whether its owner lives: it holds a lock on a file beside it.

    A process in another container that shares our /dev/shm is not in our /proc; its lock is seen.
    Our own lock, which Fast DDS keeps until we exit, does not count.
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
            return True  # another user's: not ours to judge
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
        with contextlib.suppress(OSError):  # the one that lists them is gone by now
            files.add(descriptor.readlink())
    return files


def _remove(name: str) -> None:
    for file in (name, f'{name}_el', f'{name}_sl', f'sem.{name}_mutex'):
        with contextlib.suppress(OSError):
            (FOLDER / file).unlink()
