"""What the kernel tells of a process, in ``/proc`` (proc(5))."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

# Of the fields of /proc/PID/stat after the process's name.
_STATE, _USER_TIME, _SYSTEM_TIME, _START, _EXIT_CODE = 0, 11, 12, 19, 49
_GONE = (b'Z', b'X')
_LONGEST_NAME = 15


def start_of(pid: int) -> int | None:
    """When a process was started, in the kernel's ticks since boot; None when it is gone."""
    fields = _stat(pid)
    return int(fields[_START]) if fields and fields[_STATE] not in _GONE else None


def is_stopped(pid: int) -> bool:
    """Whether a signal has stopped a process. Under a debugger it is stopped in another way."""
    return _stat(pid)[:1] == [b'T']


def exit_code_of(pid: int) -> int | None:
    """How a process has ended that nobody has reaped yet, as ``subprocess`` has it: -9 for SIGKILL.

    None while it lives, and when its parent knows already.
    """
    fields = _stat(pid)
    if not fields or fields[_STATE] not in _GONE:
        return None
    status = int(fields[_EXIT_CODE])
    return -(status & 0x7F) if status & 0x7F else status >> 8


def resident_size(pid: int) -> int:
    """The resident size of a process in bytes; 0 when it is gone.

    Without shared memory: frames that it looks at are others' as much as its own.
    """
    try:
        lines = Path(f'/proc/{pid}/status').read_bytes().splitlines()
    except OSError:
        return 0
    kilobytes = [line.split()[1] for line in lines if line.startswith((b'RssAnon:', b'RssFile:'))]
    return sum(map(int, kilobytes)) * 1024


def processor_time(pid: int) -> float:
    """How long a process has been on processors, all its threads together, s; 0 when it is gone."""
    fields = _stat(pid)
    if not fields:
        return 0.0
    return (int(fields[_USER_TIME]) + int(fields[_SYSTEM_TIME])) / os.sysconf('SC_CLK_TCK')


def call_this_process(name: str) -> None:
    """Have ``ps`` and ``top`` show a name; longer than 15 bytes, it is cut."""
    with contextlib.suppress(OSError):
        Path('/proc/self/comm').write_bytes(name.encode()[:_LONGEST_NAME])


def _stat(pid: int) -> list[bytes]:
    """The fields after the name; none when the process is gone."""
    try:
        stat = Path(f'/proc/{pid}/stat').read_bytes()
    except OSError:
        return []
    # The name, in parentheses, may hold anything.
    return stat[stat.rindex(b')') + 2 :].split()
