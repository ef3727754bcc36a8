# SPDX-License-Identifier: Apache-2.0
"""Fakes of worker processes, their liveness records and their sockets, for tests of the manager."""

from __future__ import annotations

import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from worker_pipeline.protocol.channel import Packet, PacketType
from worker_pipeline.protocol.worker_spec import WorkerSpec
from worker_pipeline.recovery.liveness import LivenessSnapshot

FIRST_PID = 10**7  # more than Linux gives to any process


class FakeRecord:
    """A liveness record in this process's memory."""

    def __init__(self, path: Path, **fields: int) -> None:
        self.path = path
        self.fields = LivenessSnapshot(*[0] * len(LivenessSnapshot._fields))._replace(**fields)
        self.words = ''
        self.is_removed = False

    def set(self, **fields: int) -> None:
        self.fields = self.fields._replace(**fields)

    def read(self) -> LivenessSnapshot:
        return self.fields

    def measure_memory(self, *, wanted: bool) -> None:
        self.set(measures_memory=wanted)

    def follow(self) -> None:
        pass

    def exit_reason(self) -> str:
        return self.words

    def alive(self) -> bool:
        return not self.is_removed

    def close(self, *, remove: bool = False) -> None:
        self.is_removed = remove


class FakeStateDir:
    """A state folder whose liveness records are fakes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.states, self.frames = path / 'states', path / 'frames'
        self.socket, self.lock_file = path / 'socket', path / 'manager'
        for folder in (self.states, self.frames):
            folder.mkdir(parents=True)
        self.records: list[FakeRecord] = []
        self.error: OSError | None = None

    def new_liveness_record(self, stage: str, slot: str, config_hash: int) -> FakeRecord:
        if self.error is not None:
            raise self.error
        path = self.path / f'{stage}.{slot}.{len(self.records)}'
        self.records.append(FakeRecord(path, config_hash=config_hash))
        return self.records[-1]


class FakeWorker:
    """A worker process: what it has received, and what it will do next."""

    def __init__(self, pid: int, spec: WorkerSpec) -> None:
        self.pid = self.peer_pid = pid
        self.spec = spec
        self.state = ''  # '': it has not connected
        self.is_silent = False  # it sends nothing, as one that is stopped
        self.is_stuck = False  # it starts, and never connects
        self.death = ''  # why it will exit
        self.items: list[int] = []  # the numbers of those that it was sent
        self.payloads: list[bytes] = []
        self.requests: list[str] = []
        self.frames_in_use: list[int] = []
        self.contexts: list[tuple[int, bytes]] = []


class FakeProcesses:
    """Stands in for the launcher, the spares and the sockets of a manager."""

    def __init__(self) -> None:
        self.helper_pids: list[int] = []
        self.is_running = True
        self.workers: dict[int, FakeWorker] = {}  # those alive, by pid
        self.signals: list[tuple[int, signal.Signals]] = []
        self.adopted: list[int] = []
        self.unread: dict[int, tuple[Any, list[Packet]]] = {}  # by pid: handler, packets
        self.log: list[tuple[str, Any]] = []  # calls of which tests check the order
        self.start_error: OSError | None = None
        self.ready = 0
        self._next_pid = FIRST_PID

    # -- the launcher ----------------------------------------------------------------------------

    def send_signal(self, pid: int, number: signal.Signals) -> None:
        self.signals.append((pid, number))
        if pid in self.workers and number == signal.SIGKILL:
            self.workers[pid].death = 'killed by SIGKILL'

    def adopt(self, pid: int) -> None:
        self.adopted.append(pid)

    # -- the spares ------------------------------------------------------------------------------

    def start(self, spec: WorkerSpec) -> Any:
        if self.start_error is not None:
            raise self.start_error
        self._next_pid += 1
        self.workers[self._next_pid] = FakeWorker(self._next_pid, spec)
        return SimpleNamespace(pid=self._next_pid)

    def tick(self, _now: float, *, allow_start: bool) -> None:
        self.log.append(('spares', allow_start))

    def on_exit(self, pid: int, reason: str) -> None:
        self.log.append(('spare exited', (pid, reason)))

    # -- the sockets -----------------------------------------------------------------------------

    def send(self, channel: FakeWorker, kind: int, number: int = 0, body: bytes = b'') -> None:
        if kind == PacketType.ITEM:
            channel.items.append(number)
            channel.payloads.append(body)
        elif kind == PacketType.CHANGE_STATE:
            channel.requests.append(body.decode())
        elif kind == PacketType.FRAMES_IN_USE:
            channel.frames_in_use.append(number)
        elif kind == PacketType.CONTEXT:
            channel.contexts.append((number, body))

    enqueue = send

    def read(self, channel: FakeWorker, *, everything: bool = False) -> None:
        assert everything
        if channel.pid in self.unread:
            handler, packets = self.unread.pop(channel.pid)
            handler(packets)

    def close_channel(self, channel: FakeWorker) -> None:
        self.log.append(('closed', channel.pid))

    def flush_pending(self) -> None:
        pass

    def check(self, _now: float) -> None:
        pass

    def close(self) -> None:
        self.log.append(('end', None))
