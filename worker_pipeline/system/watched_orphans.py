# SPDX-License-Identifier: Apache-2.0
"""Workers whose own fork server has died, or belongs to a dead manager.

What they leave behind becomes nobody's child here. So their descendants are noted while they live,
and others are known by the worker's session, or by its mark in their environment or memory.
"""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Collection, Iterator

import attrs

from worker_pipeline.system.proc import exit_code_of
from worker_pipeline.system.process_table import (
    Process,
    families,
    is_marked,
    read_process,
    read_processes,
    worker_mark,
)

REFRESH_PERIOD = 1.0  # s


@attrs.define
class _Orphan:
    start: int
    pidfd: int | None
    descendants: set[tuple[int, int]] = attrs.field(factory=set)  # pid, start


class WatchedOrphans:
    """Knows the descendants of workers that are no children of this process."""

    def __init__(self) -> None:
        self._orphans: dict[int, _Orphan] = {}
        self.ended: set[int] = set()  # those that have exited, until they are forgotten
        self.refresh_at: float | None = None  # None: no worker is watched

    @property
    def pids(self) -> list[int]:
        """Return the pids of those that are alive."""
        return [pid for pid, each in self._orphans.items() if each.pidfd is not None]

    @property
    def pidfds(self) -> list[int]:
        """Return the pidfds of those that are alive."""
        return [each.pidfd for each in self._orphans.values() if each.pidfd is not None]

    def add(self, pid: int, start: int) -> None:
        """Watch a worker, which may have exited already.

        Args:
            pid: Its pid.
            start: When it was started, in clock ticks since boot.
        """
        pidfd = None
        process = read_process(pid)
        if process is not None and process.start == start:
            with contextlib.suppress(OSError):
                pidfd = os.pidfd_open(pid)
        self._orphans[pid] = _Orphan(start, pidfd)
        self.refresh_at = time.monotonic()

    def exited(self) -> Iterator[tuple[int, int | None]]:
        """Yield each worker that has exited since the last call, and its exit code if known."""
        poll = select.poll()
        for descriptor in self.pidfds:
            poll.register(descriptor, select.POLLIN)
        ready = {descriptor for descriptor, _ in poll.poll(0)}
        for pid, orphan in self._orphans.items():
            if pid in self.ended or (orphan.pidfd is not None and orphan.pidfd not in ready):
                continue
            if orphan.pidfd is not None:
                os.close(orphan.pidfd)
                orphan.pidfd = None
            self.ended.add(pid)
            yield pid, exit_code_of(pid)

    def refresh(self, now: float) -> None:
        """Note the descendants of all that live, once per ``REFRESH_PERIOD``; ``now``: s."""
        if self.refresh_at is None or now < self.refresh_at:
            return
        found = families(read_processes(), self.pids)
        for pid, family in found.items():
            self._orphans[pid].descendants = {
                (each.pid, each.start) for each in family if each.pid != pid
            }
        self.refresh_at = now + REFRESH_PERIOD if found else None

    def families_of(
        self, pid: int, processes: list[Process], others: Collection[int]
    ) -> dict[int, list[Process]]:
        """Return the families that a worker has left behind, by the pid of their root.

        Args:
            pid: The worker's pid.
            processes: All processes.
            others: Pids of processes that are certainly not among them.
        """
        orphan = self._orphans[pid]
        spared = {*others, *self.pids}
        # A pid is not given to another process while there is a session of that number.
        is_reused = any(each.pid == pid and each.start != orphan.start for each in processes)
        mark = worker_mark(pid, orphan.start)
        roots = [
            each.pid
            for each in processes
            if each.pid not in spared
            and (
                (each.pid, each.start) in orphan.descendants
                or (each.session == pid and not is_reused)
                or (each.start >= orphan.start and is_marked(each.pid, mark))
            )
        ]
        found = families(processes, roots)
        # One that is exiting has no environment and no memory any more, but still its ports.
        orphan.descendants |= {(each.pid, each.start) for root in roots for each in found[root]}
        # Each process once: below the first of its ancestors that is itself a root.
        below = {each.pid for root in roots for each in found[root] if each.pid != root}
        return {root: family for root, family in found.items() if root not in below}

    def forget(self, pid: int) -> None:
        """Forget a worker that has exited."""
        self.ended.discard(pid)
        self._orphans.pop(pid, None)
