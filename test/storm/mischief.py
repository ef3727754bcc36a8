"""What is done to the workers: a random kind to a random one, again and again."""

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

from storm.misbehaving import KINDS, Kind
from storm.recording import Recorder


@attrs.define
class Hung:
    """A worker that was made to hang: whether it is ended is the pipeline's affair."""

    slot: str
    pid: int
    kind: Kind
    pidfd: int
    since: float


class Mischief:
    """Strikes processes that bear the pipeline's mark, and nobody else.

    The seed makes the row of kinds and slots. Where a slot has no living process at its turn, or
    one that hangs already, the blow goes into the void, and the row goes on all the same.
    """

    def __init__(self, seed: int, slots: Sequence[str], mark: str, recorder: Recorder) -> None:
        self._chance = random.Random(seed)
        self._slots = list(slots)
        self._mark = f'WORKER_PIPELINE_TEST_MARK={mark}'.encode()
        self._recorder = recorder
        self.blows: Counter[str] = Counter()
        self.missed = 0
        self.hung: list[Hung] = []
        self.ended_after: list[float] = []  # s: how long those hung that were ended

    def strike(self, pids: Mapping[str, int]) -> None:
        """One blow. ``pids``: by slot, who holds it by the newest heartbeat."""
        slot, kind = self._chance.choice(self._slots), self._chance.choice(KINDS)
        pid = pids.get(slot, 0)
        pidfd = None if any(each.pid == pid for each in self.hung) else self._open(pid)
        if pidfd is None:
            self.missed += 1
            return
        try:
            signal.pidfd_send_signal(pidfd, kind.signal)
        except ProcessLookupError:
            os.close(pidfd)
            self.missed += 1
            return
        self.blows[kind.name] += 1
        self._recorder.note('blow', slot=slot, pid=pid, kind=kind.name)
        if kind.hangs:
            self.hung.append(Hung(slot, pid, kind, pidfd, time.monotonic()))
        else:
            os.close(pidfd)

    def watch(self) -> None:
        """See who of the hung has been ended."""
        now = time.monotonic()
        for each in list(self.hung):
            if select.select([each.pidfd], [], [], 0)[0]:
                self.ended_after.append(now - each.since)
                self._recorder.note(
                    'hung worker ended', slot=each.slot, pid=each.pid, after=now - each.since
                )
                os.close(each.pidfd)
                self.hung.remove(each)

    def close(self) -> None:
        """Let go of the processes."""
        for each in self.hung:
            os.close(each.pidfd)
        self.hung.clear()

    def _open(self, pid: int) -> int | None:
        """A pidfd of a living process of this pipeline; None if it is not one, or not any more."""
        if pid <= 1:
            return None  # to a signal 0 means the whole process group
        with contextlib.suppress(OSError):
            pidfd = os.pidfd_open(pid)
            # Looked at after it was opened: should the pid be another's by then, the signal still
            # goes to the one that is dead.
            with contextlib.suppress(OSError):
                if self._mark in Path(f'/proc/{pid}/environ').read_bytes().split(b'\0'):
                    return pidfd
            os.close(pidfd)
        return None
