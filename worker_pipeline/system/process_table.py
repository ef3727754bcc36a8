# SPDX-License-Identifier: Apache-2.0
"""The processes of this machine and their family relations, from ``/proc``."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import NamedTuple

from worker_pipeline.system.proc import read_stat, start_of

# Says, in the environment of a worker's programs and in the memory of its forks, whose they are.
WORKER_MARK = 'WORKER_PIPELINE_WORKER'
_IN_ENVIRONMENT = re.compile(rb'\0' + WORKER_MARK.encode() + rb'=(\d+:\d+)(?=\0)')
_IN_MEMORY = re.compile(rb'/memfd:' + WORKER_MARK.encode() + rb'=(\d+:\d+) ')
_PR_SET_CHILD_SUBREAPER = 36
# Indices of the fields of /proc/PID/stat after the process's name.
_STATE, _PARENT, _SESSION, _THREADS, _START = 0, 1, 3, 17, 19


class Process(NamedTuple):
    """One process at one moment."""

    pid: int
    parent: int
    session: int
    start: int  # in clock ticks since boot: with the pid, it identifies the process
    name: str


def read_processes(*skipped_sessions: Collection[int]) -> list[Process]:
    """Return the processes that have not exited, but for those in some sessions.

    Reading one takes about 20 us, asking for its session less than one.
    """
    found = []
    for entry in os.listdir('/proc'):
        if not entry.isdecimal():
            continue
        pid = int(entry)
        if skipped_sessions:
            try:
                session = os.getsid(pid)
            except OSError:
                continue
            if any(session in each for each in skipped_sessions):
                continue
        process = read_process(pid)
        if process is not None:
            found.append(process)
    return found


def read_process(pid: int) -> Process | None:
    """Return one process; None if it has exited."""
    stat = read_stat(pid)
    if stat is None:
        return None
    name, fields = stat
    # A process of which only the main thread has ended looks like a zombie.
    if fields[_STATE] in b'ZX' and int(fields[_THREADS]) <= 1:
        return None
    return Process(
        pid,
        int(fields[_PARENT]),
        int(fields[_SESSION]),
        int(fields[_START]),
        name.decode(errors='replace'),
    )


def families(processes: Iterable[Process], roots: Collection[int]) -> dict[int, list[Process]]:
    """Return, by root, the root's process and all that descend from it."""
    by_pid: dict[int, Process] = {}
    children: dict[int, list[Process]] = defaultdict(list)
    for process in processes:
        by_pid[process.pid] = process
        children[process.parent].append(process)
    found = {}
    for root in roots:
        family = [by_pid[root]] if root in by_pid else []
        parents, seen = [root], {root}
        for parent in parents:  # appended to while it is iterated over: all generations in the end
            for each in children[parent]:
                if each.pid not in seen:
                    seen.add(each.pid)
                    parents.append(each.pid)
                    family.append(each)
        found[root] = family
    return found


def mark_worker(pid: int, start: int) -> mmap.mmap:
    """Mark this process as a worker, and so all that it will start.

    Programs inherit its environment, forks the mapping that is returned, which has to be kept.

    Args:
        pid: Its own pid.
        start: When it was started, in clock ticks since boot.
    """
    mark = worker_mark(pid, start)
    os.environ[WORKER_MARK] = mark
    descriptor = os.memfd_create(f'{WORKER_MARK}={mark}', os.MFD_CLOEXEC)
    try:
        os.ftruncate(descriptor, mmap.PAGESIZE)
        return mmap.mmap(descriptor, mmap.PAGESIZE)
    finally:
        os.close(descriptor)


def worker_mark(pid: int, start: int) -> str:
    """Return the mark of a worker's descendants.

    Args:
        pid: Its pid.
        start: When it was started, in clock ticks since boot.
    """
    return f'{pid}:{start}'


def worker_in(mark: str) -> tuple[int, int]:
    """Return the pid and the start of the worker that a mark names."""
    pid, _, start = mark.partition(':')
    return int(pid), int(start)


def names_living_worker(mark: str) -> bool:
    """Return whether the worker that a mark names is alive."""
    pid, start = worker_in(mark)
    return start_of(pid) == start


def is_marked(pid: int, mark: str) -> bool:
    """Return whether a process descends from a worker: False if it belongs to another user.

    Args:
        pid: Its pid.
        mark: The worker's mark.
    """
    return mark in marks_of(pid)


def marks_of(pid: int) -> set[str]:
    """Return the marks of the workers that a process descends from, or is; none if unreadable."""
    found: list[bytes] = []
    with contextlib.suppress(OSError):
        with open(f'/proc/{pid}/environ', 'rb') as file:
            found += _IN_ENVIRONMENT.findall(b'\0' + file.read())
        with open(f'/proc/{pid}/maps', 'rb') as file:
            found += _IN_MEMORY.findall(file.read())
    return {each.decode() for each in found}


def is_resource_tracker(pid: int) -> bool:
    """Return whether a process is the one that cleans up after Python's ``multiprocessing``."""
    with contextlib.suppress(OSError), open(f'/proc/{pid}/cmdline', 'rb') as file:
        return b'multiprocessing.resource_tracker' in file.read()
    return False


def become_subreaper() -> None:
    """Make this process the parent of its descendants whose own parents exit.

    So they stay below it for as long as it lives, whatever they do: ``setsid`` and a double fork,
    as in daemons, included.
    """
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
