# SPDX-License-Identifier: Apache-2.0
"""Ending processes where no fork server does it: SIGTERM first, SIGKILL later."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Collection, Mapping

from worker_pipeline.system.leftovers import Leftovers, describe_leftovers
from worker_pipeline.system.process_table import Process, is_resource_tracker, read_process

CHECK_PERIOD = 0.01  # s


def end_processes(find: Callable[[], Mapping[str, Collection[Process]]]) -> dict[str, str]:
    """End what workers have left behind; wait for that, at most 3 s.

    Return, by worker, which processes these were and what became of them, in words.

    Args:
        find: Returns, by worker, those of them that have not exited. Called until there are none.
    """
    ending: dict[str, Leftovers] = {}
    while True:
        left = find()
        now = time.monotonic()
        for worker in left:
            ending.setdefault(worker, Leftovers(0, orderly=True, now=now))
        for worker, leftovers in ending.items():
            if not leftovers.is_over:
                _update(leftovers, left.get(worker, ()), now)
        if all(each.is_over for each in ending.values()):
            break
        time.sleep(CHECK_PERIOD)
    return {
        worker: describe_leftovers(each.names.items(), each.outcome)
        for worker, each in ending.items()
        if each.names
    }


def _update(leftovers: Leftovers, alive: Collection[Process], now: float) -> None:
    processes = {each.pid: each for each in alive}
    trackers = [pid for pid in processes if is_resource_tracker(pid)]
    for each in leftovers.update(alive, trackers, now):
        _send(processes[each.pid], each.number)


def _send(process: Process, number: int) -> None:
    """Signal a process, never another one that has been given its pid."""
    with contextlib.suppress(OSError):
        pidfd = os.pidfd_open(process.pid)
        try:
            found = read_process(process.pid)
            if found is not None and found.start == process.start:
                signal.pidfd_send_signal(pidfd, number)
        finally:
            os.close(pidfd)
