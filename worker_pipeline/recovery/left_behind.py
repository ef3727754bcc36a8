# SPDX-License-Identifier: Apache-2.0
"""What the workers of an earlier manager have left behind, whose fork server was killed as well.

Only what bears the mark of a worker of this pipeline is ended, and only if that worker is dead. A
mark consists of a pid and a start time, so no other process ever has the same one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping

from worker_pipeline.recovery.state_dir import pipeline_processes
from worker_pipeline.system.leftovers import left_by
from worker_pipeline.system.process_ending import end_processes
from worker_pipeline.system.process_table import (
    Process,
    families,
    marks_of,
    names_living_worker,
    read_processes,
    worker_in,
)

_Marks = dict[int, set[str]]  # by pid


class LeftBehind:
    """Ends what an earlier manager's workers have left behind.

    Args:
        workers: The names of all workers of this pipeline, by their marks.
        warn: Called with a message for each that has left something.
    """

    def __init__(self, workers: Mapping[str, str], warn: Callable[[str], None]) -> None:
        self._workers = dict(workers)
        self._warn = warn
        # One that is exiting bears no mark any more, but still has its ports. By pid and start.
        self._found: dict[tuple[int, int], str] = {}

    def end(self) -> None:
        """End what is left of those workers that have died since the last call."""
        dead = [mark for mark in self._workers if not names_living_worker(mark)]
        if not dead:
            return
        ended = end_processes(lambda: self._find(dead))
        for mark in dead:
            name = self._workers.pop(mark)
            if mark in ended:
                self._warn(f'{name} of an earlier manager left {ended[mark]}')

    def _find(self, dead: Collection[str]) -> dict[str, list[Process]]:
        processes = read_processes()
        first = min(worker_in(mark)[1] for mark in dead)
        marks = {each.pid: marks_of(each.pid) for each in processes if each.start >= first}
        spared = _spared(processes, marks)
        for each in processes:
            if (each.pid, each.start) in self._found:
                marks[each.pid].add(self._found[each.pid, each.start])
        found = left_by(dead, processes, marks, spared)
        for mark, members in found.items():
            self._found.update(((each.pid, each.start), mark) for each in members)
        return found


def _spared(processes: Collection[Process], marks: _Marks) -> set[int]:
    """Return the pids of pipelines that run, of workers that live, and of their descendants.

    They may bear the mark of a dead worker as well: the worker's stage may have started this or
    another pipeline. Those who have started this manager are among them.
    """
    living = [pid for pid, found in marks.items() if any(map(names_living_worker, found))]
    roots = [os.getpid(), *pipeline_processes(), *living]
    found = {each.pid for family in families(processes, roots).values() for each in family}
    parents = {each.pid: each.parent for each in processes}
    pid = os.getpid()
    while pid in parents:
        found.add(pid)
        pid = parents[pid]
    return found
