# SPDX-License-Identifier: Apache-2.0
"""Injects random faults into random workers."""

from __future__ import annotations

import contextlib
import os
import random
import select
import signal
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from storm.faults import FAULTS, Fault
from storm.recorder import Recorder


@attrs.define
class HungWorker:
    """A worker that was made to hang, and that the pipeline has to end."""

    slot: str
    pid: int
    fault: Fault
    pidfd: int
    since: float


class FaultInjector:
    """Injects faults, only into processes with the mark of this pipeline.

    The seed determines the sequence of faults and slots. If a slot has no living process when it is
    its turn, or one that hangs already, the fault is skipped; the sequence does not change.
    """

    def __init__(self, seed: int, slots: Sequence[str], mark: str, recorder: Recorder) -> None:
        self._chance = random.Random(seed)
        self._slots = list(slots)
        self._mark = f'WORKER_PIPELINE_TEST_MARK={mark}'.encode()
        self._recorder = recorder
        self.faults: Counter[str] = Counter()
        self.missed = 0
        self.hung: list[HungWorker] = []
        self.ended_after: list[float] = []  # s from a hang to the worker's end

    def inject(self, pids: Mapping[str, int]) -> None:
        """Inject one fault. ``pids``: by slot, from the newest heartbeats."""
        slot, fault = self._chance.choice(self._slots), self._chance.choice(FAULTS)
        pid = pids.get(slot, 0)
        pidfd = None if any(each.pid == pid for each in self.hung) else self._open(pid)
        if pidfd is None:
            self.missed += 1
            return
        try:
            signal.pidfd_send_signal(pidfd, fault.signal)
        except ProcessLookupError:
            os.close(pidfd)
            self.missed += 1
            return
        self.faults[fault.name] += 1
        self._recorder.record('fault', slot=slot, pid=pid, fault=fault.name)
        if fault.hangs:
            self.hung.append(HungWorker(slot, pid, fault, pidfd, time.monotonic()))
        else:
            os.close(pidfd)

    def watch(self) -> None:
        """Look which hung workers have been ended."""
        now = time.monotonic()
        for each in list(self.hung):
            if select.select([each.pidfd], [], [], 0)[0]:
                self.ended_after.append(now - each.since)
                self._recorder.record(
                    'hung worker ended', slot=each.slot, pid=each.pid, after=now - each.since
                )
                os.close(each.pidfd)
                self.hung.remove(each)

    def close(self) -> None:
        """Close the pidfds."""
        for each in self.hung:
            os.close(each.pidfd)
        self.hung.clear()

    def _open(self, pid: int) -> int | None:
        """Return a pidfd of a living process of this pipeline; None if the pid is not one."""
        if pid <= 1:
            return None  # a signal to 0 would go to the whole process group
        with contextlib.suppress(OSError):
            pidfd = os.pidfd_open(pid)
            # The mark is read after the pidfd was opened: if the pid has been reused by then, the
            # signal still goes to the dead process.
            with contextlib.suppress(OSError):
                if self._mark in Path(f'/proc/{pid}/environ').read_bytes().split(b'\0'):
                    return pidfd
            os.close(pidfd)
        return None
