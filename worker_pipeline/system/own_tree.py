# SPDX-License-Identifier: Apache-2.0
"""What a worker has started, ended by itself: its fork server, which would do so, is dead."""

from __future__ import annotations

import contextlib
import os
import sys

from worker_pipeline.system.process_ending import end_processes
from worker_pipeline.system.process_table import (
    Process,
    families,
    is_marked,
    is_resource_tracker,
    read_process,
    read_processes,
    worker_mark,
)

_forked: tuple[int, int] | None = None  # pids of this process and of its fork server


def note_server(server: int) -> None:
    """Note that this process was forked by a fork server. ``server``: its pid."""
    global _forked
    _forked = os.getpid(), server


def is_abandoned() -> bool:
    """Return whether the fork server that has forked this process is dead."""
    # A fork of the worker's is none of the server's; the worker or its fork server ends it.
    return _forked is not None and _forked[0] == os.getpid() and _forked[1] != os.getppid()


def end_own_tree(name: str) -> None:
    """End all that this process has started, and print what that was. ``name``: its own."""
    with contextlib.suppress(Exception):  # no descriptor may be free, standard error be closed
        own = read_process(os.getpid())
        ended = end_processes(lambda: {name: _started_by(own)} if own else {})
        for text in ended.values():
            print(f'{name} left {text}', file=sys.stderr, flush=True)


def _started_by(own: Process) -> list[Process]:
    """Return all that a living process has started, but for what cleans up after its exit."""
    processes = read_processes()
    mark = worker_mark(own.pid, own.start)
    # As a subreaper it is the ancestor of all; the mark is for a system that has refused that.
    marked = [each.pid for each in processes if each.start >= own.start]
    marked = [pid for pid in marked if is_marked(pid, mark)]
    found = {
        each.pid: each
        for family in families(processes, [own.pid, *marked]).values()
        for each in family
    }
    found.pop(own.pid, None)
    # It exits when this process has, after removing what is left of shared memory.
    return [each for each in found.values() if not is_resource_tracker(each.pid)]
