# SPDX-License-Identifier: Apache-2.0
"""Facts about processes from ``/proc`` (proc(5))."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

# Indices of the fields of /proc/PID/stat after the process's name.
_STATE, _USER_TIME, _SYSTEM_TIME, _START, _EXIT_CODE = 0, 11, 12, 19, 49
_GONE = (b'Z', b'X')
_MAX_NAME_BYTES = 15
_PAGE = os.sysconf('SC_PAGE_SIZE')


def start_of(pid: int) -> int | None:
    """Return when a process was started, in clock ticks since boot; None if it has exited."""
    fields = _stat(pid)
    return int(fields[_START]) if fields and fields[_STATE] not in _GONE else None


def is_stopped(pid: int) -> bool:
    """Return whether a signal has stopped a process; being stopped by a debugger does not count."""
    return _stat(pid)[:1] == [b'T']


def exit_code_of(pid: int) -> int | None:
    """Return the exit code of a zombie process as in ``subprocess``: -9 for SIGKILL.

    None while it is alive, and once its parent has reaped it.
    """
    fields = _stat(pid)
    if not fields or fields[_STATE] not in _GONE:
        return None
    status = int(fields[_EXIT_CODE])
    return -(status & 0x7F) if status & 0x7F else status >> 8


def private_memory() -> int:
    """Return the anonymous resident memory of this process, bytes; 0 if it cannot be read."""
    # Not by a Path, which takes five times as long: this is called for each item.
    try:
        descriptor = os.open('/proc/self/statm', os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0  # the stage may have used up the descriptors
    try:
        resident, shared = os.read(descriptor, 128).split()[1:3]
    finally:
        os.close(descriptor)
    return (int(resident) - int(shared)) * _PAGE


def resident_sizes(pid: int) -> tuple[int, int]:
    """Return the anonymous resident memory of a process, and that of files, bytes; 0 if it exited.

    Without shared memory: frames belong to other processes as much as to this one.
    """
    content = _read(pid, 'status')
    if content is None:
        return 0, 0
    lines = content.splitlines()
    sizes = dict(line.split()[:2] for line in lines if line.startswith((b'RssAnon:', b'RssFile:')))
    anonymous, mapped = (int(sizes.get(key, 0)) * 1024 for key in (b'RssAnon:', b'RssFile:'))
    return anonymous, mapped


def resident_size(pid: int) -> int:
    """Return the resident size of a process in bytes, as the sum of ``resident_sizes``."""
    return sum(resident_sizes(pid))


def processor_time(pid: int) -> float:
    """Return the CPU time of all threads of a process, s; 0 if it has exited."""
    fields = _stat(pid)
    if not fields:
        return 0.0
    return (int(fields[_USER_TIME]) + int(fields[_SYSTEM_TIME])) / os.sysconf('SC_CLK_TCK')


def set_process_name(name: str) -> None:
    """Set the name of this process in ``ps`` and ``top``, cut to 15 bytes."""
    with contextlib.suppress(OSError):
        Path('/proc/self/comm').write_bytes(name.encode()[:_MAX_NAME_BYTES])


def read_stat(pid: int) -> tuple[bytes, list[bytes]] | None:
    """Return a process's name and the fields of its ``stat`` after it; None if it is gone."""
    stat = _read(pid, 'stat')
    if stat is None:
        return None
    # The name, in parentheses, may contain any characters.
    begin, end = stat.index(b'(') + 1, stat.rindex(b')')
    return stat[begin:end], stat[end + 2 :].split()


def _read(pid: int, name: str) -> bytes | None:
    """Return the content of a file of a process; None if it is gone.

    Not by a Path: it interns each pid, and the table of interned strings grows with every string
    that was ever in it, by megabytes at a time.
    """
    try:
        descriptor = os.open(f'/proc/{pid}/{name}', os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(descriptor, 4096)
        finally:
            os.close(descriptor)
    except OSError:
        return None


def _stat(pid: int) -> list[bytes]:
    """Return the fields after the name; none if the process has exited."""
    stat = read_stat(pid)
    return stat[1] if stat is not None else []
