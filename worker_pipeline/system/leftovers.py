# SPDX-License-Identifier: Apache-2.0
"""Decides what becomes of the processes that a dead worker has left behind.

Neither a clock nor a process is touched here: the fork server carries it out.
"""

from __future__ import annotations

import signal
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from worker_pipeline.system.process_table import Process, families

# How long the processes of a worker that was shut down may take to exit after SIGTERM, s.
TERMINATE_GRACE = 0.5
# How long Python's resource tracker may take to clean up; it exits by itself, s.
TRACKER_GRACE = 0.5
# How long to wait for processes to exit after SIGKILL. One that waits for a device may never, s.
KILL_TIMEOUT = 2.0


class Signal(NamedTuple):
    """A signal to send."""

    pid: int
    number: int


class Leftovers:
    """The processes that one dead worker has left behind, from its exit until theirs.

    Args:
        worker: The worker's pid.
        orderly: Whether it was shut down, rather than killed or crashed: then what it has left is
            terminated before it is killed. Otherwise a device or a lock that it holds is needed.
        now: The time, s.
    """

    def __init__(self, worker: int, *, orderly: bool, now: float) -> None:
        self.worker = worker
        self.names: dict[int, str] = {}  # of all that were found, by pid
        self.outcome = 'terminated'
        self._orderly = orderly
        self._tracked_until = now + TRACKER_GRACE
        self._is_first = True
        self._trackers: set[int] = set()
        self._kill_at = now + (TERMINATE_GRACE if orderly else 0.0)
        self._give_up_at = max(self._kill_at, self._tracked_until) + KILL_TIMEOUT
        self.is_over = False

    def update(
        self, alive: Collection[Process], trackers: Collection[int], now: float
    ) -> list[Signal]:
        """Return the signals to send; sets ``is_over`` when nothing is left to wait for.

        Args:
            alive: Those of its processes that have not exited.
            trackers: The pids of resource trackers among them.
            now: The time, s.
        """
        if not alive:
            self.is_over = True
            return []
        self._trackers.update(trackers)  # one that is exiting has no command any more
        signals: list[Signal] = []
        for process in alive:
            if process.pid in self._trackers and now < self._tracked_until:
                continue
            self.names.setdefault(process.pid, process.name)
            signals += self._signals_to(process.pid, now)
        self._is_first = False
        if now >= self._give_up_at:
            self.is_over, self.outcome = True, 'still running after SIGKILL'
        return signals

    def _signals_to(self, pid: int, now: float) -> list[Signal]:
        if now >= self._kill_at:
            self.outcome = 'killed'
            return [Signal(pid, signal.SIGKILL)]
        if not self._is_first:
            return []  # one that starts another in its place would do so again
        # A stopped process takes note of SIGTERM only when it continues.
        return [Signal(pid, signal.SIGTERM), Signal(pid, signal.SIGCONT)]


def attribute(
    families: Mapping[int, Iterable[Process]], owners: Collection[int], marks: Mapping[int, int]
) -> dict[int, list[Process]]:
    """Return, by dead worker, the processes that it has left behind.

    Args:
        families: Families of processes that no living worker has, by the pid of their root.
        owners: The pids of the workers that have died; at least one.
        marks: The pids of the workers that families are marked with, by the pid of their root.
    """
    found: dict[int, list[Process]] = {owner: [] for owner in owners}
    first = next(iter(found))
    for root, family in families.items():
        members = list(family)
        sessions = [each.session for each in members if each.session in found]
        marked = marks.get(root, 0)
        # Where nothing tells whose it is, at least it is nobody's who lives.
        owner = marked if marked in found else sessions[0] if sessions else first
        found[owner] += members
    return found


def left_by(
    dead: Collection[str],
    processes: Collection[Process],
    marks: Mapping[int, Collection[str]],
    spared: Collection[int],
) -> dict[str, list[Process]]:
    """Return, by the mark of a dead worker, those that bear it and all that descend from them.

    Args:
        dead: The marks of dead workers.
        processes: All processes.
        marks: The marks that processes bear, by pid.
        spared: The pids of processes that are not to be found, whatever their marks.
    """
    found: dict[str, list[Process]] = {}
    seen = set(spared)
    for mark in dead:
        roots = [each.pid for each in processes if mark in marks.get(each.pid, ())]
        for family in families(processes, roots).values():
            new = [each for each in family if each.pid not in seen]
            seen.update(each.pid for each in new)
            if new:
                found.setdefault(mark, []).extend(new)
    return found


def describe_leftovers(names: Iterable[tuple[int, str]], outcome: str) -> str:
    """Return what a worker has left, and what became of it: ``2 processes behind: ...``.

    Args:
        names: The pids and names of the processes.
        outcome: What became of them.
    """
    names = list(names)
    shown = ', '.join(f'{name} (pid {pid})' for pid, name in names[:5])
    more = f' and {len(names) - 5} more' if len(names) > 5 else ''
    count = f'{len(names)} {"process" if len(names) == 1 else "processes"}'
    return f'{count} behind: {shown}{more}; {outcome}'
