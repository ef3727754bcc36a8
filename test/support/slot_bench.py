# SPDX-License-Identifier: Apache-2.0
"""A slot of the manager among fakes, and short forms of what happens to its worker."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from support.fake_nodes import FakeLogger
from support.fake_workers import FakeProcesses, FakeRecord
from worker_pipeline.core.restart_policy import RestartPolicy
from worker_pipeline.core.supervision import Supervision
from worker_pipeline.core.supervision_table import DesiredState, Timing, WorkerConnected
from worker_pipeline.manager.slot import Slot
from worker_pipeline.manager.worker_facts import WorkerAvailable, WorkerFact
from worker_pipeline.protocol.packets import WorkerStatus

ACTIVE, INACTIVE, GONE = DesiredState.ACTIVE, DesiredState.INACTIVE, DesiredState.GONE
NS = 10**9


class FakeChannel:
    """The slot's end of a connection, which keeps the requests."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.detached = 0

    def request(self, label: str) -> None:
        self.requests.append(label)

    def detach(self) -> None:
        self.detached += 1


class Bench:
    """A slot, everything around it, and short forms of its worker's events."""

    def __init__(self, tmp_path: Path) -> None:
        self.path = tmp_path
        self.processes = FakeProcesses()
        self.channel = FakeChannel()
        self.logger = FakeLogger()
        self.facts: deque[WorkerFact] = deque()
        self.by_pid: dict[int, Slot] = {}
        self.records: list[FakeRecord] = []
        self.targets: list[str] = []
        self.no_room: OSError | None = None
        processes: Any = self.processes
        channel: Any = self.channel
        policy = RestartPolicy(backoff_max=10.0, limit=5, window=30.0)
        self.slot = Slot(
            's',
            'worker_0',
            Supervision(policy, Timing(heartbeat_timeout=1.0, startup_timeout=5.0)),
            channel,
            processes,
            processes,
            self.prepare,
            self.facts,
            self.by_pid,
            self.logger,
        )

    def prepare(self, target: str) -> tuple[Any, Any]:
        if self.no_room is not None:
            raise self.no_room
        self.targets.append(target)
        self.records.append(FakeRecord(self.path / str(len(self.records))))
        spec = SimpleNamespace(stage='s', slot='worker_0', target=target)
        return spec, self.records[-1]

    @property
    def pid(self) -> Any:
        """Return the pid of its worker's process."""
        return self.slot.supervision.pid

    def report(
        self, state: str, now: float, failure: str = '', pid: int | None = None, **values: str
    ) -> None:
        values |= {'state': state, 'processed': '3'}
        self.slot.status_reported(pid or self.pid, WorkerStatus(values, failure, '', '', {}), now)

    def bring_up(self, now: float = 0.0, desired: DesiredState = ACTIVE) -> None:
        """Start a worker, and have it reach its desired state."""
        self.slot.set_desired(desired, now)
        self.beat(now)
        self.slot.handle(WorkerConnected(self.pid), now)
        self.report(desired.value, now)
        facts = self.take()
        assert facts == ([WorkerAvailable('worker_0', self.pid)] if desired is ACTIVE else [])

    def beat(self, now: float, **fields: int) -> None:
        self.records[-1].set(pid=self.pid, heartbeat_at=int(now * NS), **fields)

    def take(self) -> list[WorkerFact]:
        facts = [*self.facts]
        self.facts.clear()
        return facts

    def replace(self, now: float, reason: str = 'exited with code 1') -> None:
        """Let the process exit, and start its successor."""
        self.slot.process_exited(self.pid, reason, now)
        self.slot.start_successor(now)
