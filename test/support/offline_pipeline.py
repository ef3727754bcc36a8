# SPDX-License-Identifier: Apache-2.0
"""A pipeline of the manager without ROS, processes or sockets: these are fakes, all else is real.

``OfflinePipeline.run`` lets time pass. Meanwhile its workers start, connect, bring themselves to
their target state, send heartbeats and follow requests, as real ones do. Items they answer only
when the test says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import attrs

from support.fake_nodes import FakeClock, FakeNode
from support.fake_workers import FakeProcesses, FakeRecord, FakeStateDir, FakeWorker
from worker_pipeline.config import PipelineConfig, PluginDescription, StageConfig
from worker_pipeline.config.schema import PIPELINE_KEYS
from worker_pipeline.core.dispatcher import Dispatcher
from worker_pipeline.core.first_starts import FirstStarts
from worker_pipeline.core.ledger import Overflow
from worker_pipeline.frames.registry import FrameRegistry
from worker_pipeline.manager.action_runner import ActionRunner
from worker_pipeline.manager.context_feed import ContextFeed
from worker_pipeline.manager.outbox import Outbox
from worker_pipeline.manager.pipeline import Pipeline
from worker_pipeline.manager.policies import policy_of
from worker_pipeline.manager.services import PipelineServices
from worker_pipeline.manager.slot import Slot
from worker_pipeline.manager.stage_node import StageNode
from worker_pipeline.parameter import Parameter
from worker_pipeline.protocol.answers import Answer
from worker_pipeline.protocol.channel import Packet
from worker_pipeline.protocol.packets import (
    WorkerStatus,
    answer_packet,
    hello_packet,
    status_packet,
)
from worker_pipeline.recovery.journal import Journal
from worker_pipeline.ros.cdr import stamp_of
from worker_pipeline.ros.lifecycle import ManagedNode
from worker_pipeline.ros.process_config import RosProcessConfig

HEADER = 'std_msgs/msg/Header'
GAIN = {'gain': Parameter(1.0)}
PERIOD = 0.05  # s
NEXT_STATE = {'configure': 'inactive', 'activate': 'active', 'deactivate': 'inactive'}


def stage_config(name: str, *inputs: str, **changes: Any) -> StageConfig:
    """Return the configuration of a stage with one worker, or as ``changes`` say."""
    usual = StageConfig(
        name=name,
        plugin='support.stages:Echo',
        inputs=inputs,
        period=0.0,
        workers=1,
        standby=0,
        concurrency=2,
        queue_size=10,
        overflow=Overflow.DROP_OLDEST,
        accept_external=False,
        stamps='header',
        stamp_offset=0.0,
        ordered=True,
        task_timeout=1.0,
        startup_timeout=5.0,
        max_attempts=2,
        threads=0,
        memory_limit=0.0,
        max_items_per_worker=0,
        max_worker_age=0.0,
        context={},
        params={},
    )
    return attrs.evolve(usual, **changes)


def pipeline_config(*stages: StageConfig, **changes: Any) -> PipelineConfig:
    """Return the configuration of a pipeline; all but ``changes`` are defaults."""
    values = {name: key.default for name, key in PIPELINE_KEYS.items()}
    return PipelineConfig(stages={each.name: each for each in stages}, **{**values, **changes})


def message(stamp: int) -> bytes:
    """Return a serialised header with a stamp, ns."""
    seconds, nanoseconds = divmod(stamp, 10**9)
    return (
        b'\x00\x01\x00\x00'
        + seconds.to_bytes(4, 'little')
        + nanoseconds.to_bytes(4, 'little')
        + b'\x01\x00\x00\x00\x00'
    )


class OfflineStage(FakeNode, StageNode):
    """A stage's node whose ROS side is a fake."""

    def __init__(self, config: StageConfig, services: PipelineServices, clock: FakeClock) -> None:
        FakeNode.__init__(self, config.name, clock)
        with mock.patch.object(ManagedNode, '__init__', return_value=None):
            StageNode.__init__(self, config, services)
            self.open_node()

    async def transition(self, label: str) -> bool:
        """Run a hook, and take its state."""
        await getattr(self, f'do_{label}')()
        self.state = {'cleanup': 'unconfigured', 'shutdown': 'finalized', **NEXT_STATE}[label]
        return True


class FakeQuarantine:
    """A recorder of quarantined items that keeps them."""

    def __init__(self) -> None:
        self.items: list[tuple[str, str, str, int, str]] = []
        self.closed_after = 0.0

    def put(
        self, stage: str, topic: str, message_type: str, item: Any, cause: str, _outbox: Outbox
    ) -> str:
        self.items.append((stage, topic, message_type, item.number, cause))
        return f'quarantined {item.number}: {cause}'

    def close(self, timeout: float) -> None:
        self.closed_after = timeout


class OfflinePipeline:
    """A pipeline, and everything that it is made of.

    Args:
        folder: for its files.
        clock: the clock of the manager's modules.
        config: the configuration.
        plugins: by stage; those that are missing take and return headers.
        frame_limit: bytes.
        journal: whether the journal contains the messages.
        first_starts: how many workers may be starting at once.
    """

    def __init__(
        self,
        folder: Path,
        clock: FakeClock,
        config: PipelineConfig,
        plugins: Mapping[str, PluginDescription] | None = None,
        frame_limit: int = 0,
        journal: bool = False,
        first_starts: int = 100,
    ) -> None:
        self.clock = clock
        self.errors: list[str] = []
        self.interrupted = False
        self.processes = processes = FakeProcesses()
        self.state_dir = FakeStateDir(folder / 'state')
        self.frames = FrameRegistry(self.state_dir.frames, frame_limit)
        self.plugins = {
            name: (plugins or {}).get(name, PluginDescription(HEADER, HEADER, parameters=GAIN))
            for name in config.stages
        }
        self.journal_path = folder / 'journal'
        self.journal = Journal(self.journal_path, 1, payloads=journal)
        self.outbox = Outbox(self.journal, self.errors.append)
        self.dispatcher = Dispatcher(
            {name: policy_of(each, self.plugins[name]) for name, each in config.stages.items()},
            self.frames,
            stamp_of,
            self.journal.recorder,
        )
        ros_config = RosProcessConfig((), None, folder=str(folder))
        self.noted: list[int] = []
        fakes: Any = processes
        state_dir: Any = self.state_dir
        self.services = PipelineServices(
            pipeline=config,
            plugins=self.plugins,
            namespace='/airside',
            launcher=fakes,
            manager_pid=1,
            state_dir=state_dir,
            dispatcher=self.dispatcher,
            outbox=self.outbox,
            frames=self.frames,
            channels=fakes,
            spares=fakes,
            contexts=ContextFeed(config, self.plugins, self.frames),
            slots_by_pid={},
            first_starts=FirstStarts(first_starts, list(config.stages)),
            ros_arguments=(),
            ros_config=ros_config,
            next_ros_config=lambda: ros_config,
            note_process=self.noted.append,
            interrupted=lambda: self.interrupted,
        )
        self.stages = {
            name: OfflineStage(each, self.services, clock) for name, each in config.stages.items()
        }
        self.node = FakeNode('manager', clock)
        self.quarantine = FakeQuarantine()
        quarantine: Any = self.quarantine
        node: Any = self.node
        self.pipeline = Pipeline(self.services, self.stages, quarantine, node)
        runner = ActionRunner(
            self.dispatcher,
            self.outbox,
            self.stages,
            quarantine,
            self.services.contexts,
            self.errors.append,
        )
        self.outbox.collect = runner.collect
        self.outbox.on_settled = self.pipeline.release_frames
        self.outbox.snapshot = self.pipeline.snapshot
        self.journal.checkpoint(self.pipeline.snapshot())
        self._handlers: dict[int, Any] = {}

    # -- parts -----------------------------------------------------------------------------------

    def slot(self, stage: str, index: int = 0) -> Slot:
        """Return a slot."""
        return self.stages[stage].slots[f'worker_{index}']

    def worker(self, stage: str, index: int = 0) -> FakeWorker:
        """Return the worker that fills a slot now."""
        pid = self.slot(stage, index).supervision.pid
        assert pid is not None, 'the slot has no process'
        return self.processes.workers[pid]

    def record(self, stage: str, index: int = 0) -> FakeRecord:
        """Return the liveness record of the worker in a slot."""
        record: Any = self.slot(stage, index).liveness
        assert isinstance(record, FakeRecord)
        return record

    def active(self, stage: str) -> list[str]:
        """Return the workers that may be given items, sorted."""
        return sorted(self.stages[stage].dispatcher.pool.get_currently_active())

    # -- time ------------------------------------------------------------------------------------

    def start(self, seconds: float = 0.5) -> None:
        """Configure and activate all stages, without waiting, and let ``seconds`` s pass."""
        for stage in self.stages.values():
            stage.resume()
        for step in ('configure', 'activate'):
            for stage in self.stages.values():
                self.interrupted = True  # so that nothing waits
                coroutine = stage.transition(step)
                for _ in range(10):
                    try:
                        coroutine.send(None)
                    except StopIteration:
                        break
        self.interrupted = False
        self.run(seconds)

    def run(self, seconds: float = 0.5) -> None:
        """Let time pass in steps of the supervision's period."""
        for _ in range(round(seconds / PERIOD)):
            self.step()

    def step(self) -> None:
        """Let the workers do what is due, and supervise them once."""
        self.clock.now += PERIOD
        self.move_workers()
        self.pipeline.tick(self.clock.now, is_active=True)

    def move_workers(self) -> None:
        """Let every worker do what is due: connect, follow a request, report, or exit."""
        for worker in list(self.processes.workers.values()):
            if worker.death:
                self.exit(worker, worker.death)
            elif not worker.is_silent:
                self._move(worker)

    def _move(self, worker: FakeWorker) -> None:
        slot = self.services.slots_by_pid.get(worker.pid)
        if slot is None:
            return
        record: Any = slot.liveness
        if record is not None:
            now = self.clock.monotonic_ns()
            record.set(pid=worker.pid, heartbeat_at=now, registered_at=now)
        if worker.is_stuck:
            return
        if not worker.state:
            self.connect(worker)
            worker.state = worker.spec.target
        for request in worker.requests:
            if request == 'shutdown':
                worker.death = 'exited with code 0'
            else:
                worker.state = NEXT_STATE[request]
        worker.requests.clear()
        self.report(worker)

    # -- what a worker does ----------------------------------------------------------------------

    def connect(self, worker: FakeWorker, received: tuple[int, ...] = ()) -> None:
        """Let a worker open its connection."""
        hello = hello_packet(worker.spec.stage, worker.spec.slot, list(received), 0)  # type: ignore[arg-type]
        channel: Any = worker
        handler = self.pipeline.worker_connected(channel, hello)
        assert handler is not None, 'the worker was refused'
        self._handlers[worker.pid] = handler

    def send(self, worker: FakeWorker, *packets: Packet) -> None:
        """Let a worker send packets, which are handled at once."""
        self._handlers[worker.pid](list(packets))

    def leave_unread(self, worker: FakeWorker, *packets: Packet) -> None:
        """Let a worker send packets that the manager has not read yet."""
        self.processes.unread[worker.pid] = self._handlers[worker.pid], list(packets)

    def report(
        self, worker: FakeWorker, failure: str = '', level: str = '', text: str = ''
    ) -> None:
        """Let a worker report its state."""
        values = {'state': worker.state, 'processed': '0', 'in_flight': '0', 'busy_s': '0'}
        self.send(worker, status_packet(WorkerStatus(values, failure, level, text, {})))

    def answer(self, worker: FakeWorker, number: int, kind: str = 'output', text: str = '') -> None:
        """Let a worker answer an item: with an output of the item's stamp, or as ``kind`` says."""
        output = worker.payloads[worker.items.index(number)] if kind == 'output' else b''
        self.send(worker, answer_packet(Answer(number, kind, text, output)))

    def exit(self, worker: FakeWorker, reason: str) -> None:
        """Let a worker's process exit, as its parent sees it."""
        del self.processes.workers[worker.pid]
        self.pipeline.process_exited(worker.pid, reason)

    # -- items -----------------------------------------------------------------------------------

    def receive(self, stage: str, *stamps: int, topic: str = 'input') -> None:
        """Let a stage receive messages with these stamps by a topic."""
        name = f'{stage}/input' if topic == 'input' else topic
        for stamp in stamps:
            self.stages[stage].topics_subscribed[name].receive(message(stamp))
