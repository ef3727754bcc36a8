# SPDX-License-Identifier: Apache-2.0
"""Whole pipelines in memory, with everything that may happen to them while they run."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import partial

from support.pipeline_payloads import frame_of, identity_of, make_payload
from support.pipeline_restarts import RestartingShell
from support.pipeline_workers import MAX_CONCURRENCY, Answer, FakeWorker, Output
from worker_pipeline.core.stage_dispatcher import StageDispatcher
from worker_pipeline.core.stage_policy import EXTERNAL_INPUT, StagePolicy

FRAME = 10  # bytes
MAX_WORKERS = 4


class PipelineModel(RestartingShell):
    """A pipeline with workers that may do anything.

    Args:
        policies: by stage.
        seed: of the random events.
        workers: how many each stage has.
        frame_sizes: by stage, the bytes of each output's frame; -1: it passes its input's on.
        limit: bytes of frame memory.
        journal: whether the journal has the messages themselves.
    """

    def __init__(
        self,
        policies: dict[str, StagePolicy],
        *,
        seed: int,
        workers: int,
        frame_sizes: dict[str, int],
        limit: int,
        journal: bool,
    ) -> None:
        self.chance = random.Random(seed)
        self.passes_on = {name for name, size in frame_sizes.items() if size < 0}
        sizes = {name: max(0, size) for name, size in frame_sizes.items()}
        super().__init__(policies, sizes, limit, journal)
        self.longest: dict[str, int] = {}
        # By stage that blocks: the policy under which its queue was within its size last.
        self.kept_within: dict[str, tuple[int, str, int, bool] | None] = {}
        self._stamps: dict[tuple[str, str], int] = {}
        self._output_stamp = 10**6
        self._external = 0
        for name in policies:
            for index in range(workers):
                self.workers[name][f'w{index}'] = FakeWorker(name, f'w{index}')
            self.dispatcher.budget.record_output(name, sizes[name])

    @property
    def stages(self) -> list[StageDispatcher]:
        return list(self.dispatcher.stages.values())

    @property
    def sources(self) -> list[str]:
        return [name for name, policy in self.policies.items() if policy.is_source]

    def all_workers(self) -> list[FakeWorker]:
        return [each for workers in self.workers.values() for each in workers.values()]

    # -- items -----------------------------------------------------------------------------------

    def external_inputs(self, name: str) -> list[str]:
        topics = [each for each in self.policies[name].inputs if each.startswith('/')]
        return [EXTERNAL_INPUT, *topics]

    def receive(self, stage: int, which: int, count: int = 1) -> None:
        """Let a stage receive new items by one of its inputs from outside."""
        name = self.stages[stage % len(self.stages)].name
        inputs = self.external_inputs(name)
        source = inputs[which % len(inputs)]
        for _ in range(count):
            # Each input counts its own stamps, so that stamps of two inputs are equal.
            stamp = self._stamps[name, source] = self._stamps.get((name, source), 0) + 1
            self._external += 1
            payload = make_payload(f'x{self._external}', stamp)
            self.event(partial(self._receive, name, source, stamp, payload))

    def _receive(self, name: str, source: str, stamp: int, payload: str) -> None:
        self.dispatcher.stages[name].item_received(source, stamp, payload, self.now)

    def echo(self, stage: int, which: int) -> None:
        """Let a topic carry an item that was forwarded before: it must be ignored."""
        follower = self.stages[stage % len(self.stages)]
        if follower.upstream:
            feeding = follower.upstream[which % len(follower.upstream)]
            known = [
                key
                for key in (*follower.ledger._finished_keys, *follower.ledger._unfinished_keys)
                if key.source.partition('<')[0] == feeding.name
            ]
            counters = follower.ledger.counters
            before = counters.accepted, counters.duplicates
            for key in sorted(known)[-2:]:
                follower.item_received(feeding.name, key.stamp, 'an echo', self.now)
            assert (counters.accepted, counters.duplicates) == before
            assert not self.dispatcher.actions

    def start_stream(self) -> None:
        for name in self.sources:
            self.event(partial(self._start_stream, name))

    def _start_stream(self, name: str) -> None:
        self.dispatcher.stages[name].stream_started(self.clock)

    def elapse_period(self) -> None:
        for name in self.sources:
            self.event(partial(self._elapse_period, name))

    def _elapse_period(self, name: str) -> None:
        self.dispatcher.stages[name].period_elapsed()

    def tick(self) -> None:
        """Let time pass: the manager looks whether blocked stages have room."""
        self.now += 0.05
        self.event(lambda: self.dispatcher.frames_released())

    def flush(self, stage: int) -> None:
        name = self.stages[stage % len(self.stages)].name
        self.account.stages[name].may_drop = True
        self.event(lambda: self.dispatcher.stages[name].flush())

    def change_policy(self, stage: int) -> None:
        each = self.stages[stage % len(self.stages)]
        policy = self.drawn_policy(each.policy)
        self.note_policy(each.name, policy)

        def change() -> None:
            each.pool.resize(policy.concurrency)
            each.set_policy(policy)

        self.event(change)

    # -- workers ---------------------------------------------------------------------------------

    def pick(self, which: int) -> FakeWorker:
        workers = self.all_workers()
        return workers[which % len(workers)]

    def start_up(self) -> None:
        """Let all workers connect, and start the stream."""
        for which in range(len(self.all_workers())):
            self.connect(which)
        self.start_stream()

    def connect(self, which: int, *, repeats_first: bool = False) -> None:
        """Let a worker connect: it reports its items, repeats its answers, and is available."""
        worker = self.pick(which)
        if worker.is_connected or not worker.is_alive:
            return
        worker.is_connected = True
        answers = list(worker.recent)
        received = worker.known_numbers

        def connect() -> None:
            stage = self.dispatcher.stages[worker.stage]
            if repeats_first:
                self.book(worker, answers)
            stage.worker_connected(worker.name, received, self.now)

        self.is_reconnecting = True
        self.event(connect)
        self.is_reconnecting = False
        if not repeats_first and worker.is_connected:
            self.event(lambda: self.book(worker, answers))
        if worker.is_connected:
            self.make_available(worker)

    def make_available(self, worker: FakeWorker) -> None:
        if worker.is_connected and worker.is_alive and not worker.is_available:
            worker.is_available = True
            self.event(lambda: self.dispatcher.stages[worker.stage].worker_available(worker.name))

    def make_unavailable(self, worker: FakeWorker) -> None:
        """Let a worker hang: it keeps its items, and may still answer."""
        if worker.is_available:
            worker.is_available = False
            self.event(lambda: self.dispatcher.stages[worker.stage].worker_unavailable(worker.name))

    def drawn_answer(self, worker: FakeWorker) -> str:
        """Return a kind of answer to a worker's first item."""
        kinds = ['output'] * 7 + ['none', 'failed', 'refused', 'returned']
        if identity_of(worker.received[0][1]).startswith('t') and self.chance.random() < 0.02:
            return 'ended'
        return self.chance.choice(kinds)

    def answer(self, which: int, count: int = 1, kind: str | None = None) -> None:
        """Let a worker process some of its items; its answers come together."""
        worker = self.pick(which)
        if worker.is_alive and worker.is_connected:
            worker.receive()
            answers = [
                self.process(worker, kind or self.drawn_answer(worker))
                for _ in range(min(count, len(worker.received)))
            ]
            if answers:
                self.event(lambda: self.book(worker, answers))

    def all_answer(self) -> None:
        """Let all workers answer all that they have, with outputs."""
        for which in range(len(self.all_workers())):
            self.answer(which, MAX_CONCURRENCY, 'output')

    def book(self, worker: FakeWorker, answers: Sequence[Answer]) -> None:
        stage = self.dispatcher.stages[worker.stage]
        for kind, number, output in answers:
            if output is not None:
                payload, frame_bytes = output
                stage.output_received(worker.name, number, payload, self.now, frame_bytes)
            elif kind == 'none':
                stage.no_output_received(worker.name, number, self.now)
            elif kind == 'failed':
                stage.item_failed(worker.name, number, 'failed', self.now)
            elif kind == 'refused':
                stage.item_refused(worker.name, number, self.now)
            elif kind == 'returned':
                stage.item_returned(worker.name, number, self.now)
            else:
                stage.stream_ended(worker.name, number, self.now)
        stage.answers_received()

    def process(self, worker: FakeWorker, kind: str) -> Answer:
        """Let a worker process its first item. Returns its answer, of this kind."""
        return worker.process(kind, partial(self._make_output, worker.stage))

    def _make_output(self, stage: str, number: int, payload: str) -> Output:
        self._output_stamp += 1
        identity = f'{stage}({identity_of(payload)})'
        if stage in self.passes_on:
            return Output(make_payload(identity, self._output_stamp, frame_of(payload)))
        size = self.frame_sizes[stage]
        if not size or number in self.account.stages[stage].finished:
            return Output(make_payload(identity, self._output_stamp))
        frame = self.memory.allocate(size)
        if frame is None:
            assert self.may_send_inline or not self.memory.limit, 'no room was kept for a frame'
            return Output(make_payload(identity, self._output_stamp))
        return Output(make_payload(identity, self._output_stamp, frame), size)

    def kill(self, which: int, *, has_suspect: bool, last_answers: int) -> None:
        """Kill a worker; the first of its answers may have left before. Another takes its place."""
        worker = self.pick(which)
        if not worker.is_connected:
            return  # the manager will find it dead, or starts it anew
        if last_answers:
            self.answer(which, last_answers)
        if not worker.is_connected:
            return  # the manager has crashed, and does not know
        worker.receive()
        worker.is_alive = False
        suspect = worker.received[0][0] if has_suspect and worker.received else None

        def exit_() -> None:
            stage = self.dispatcher.stages[worker.stage]
            stage.worker_unavailable(worker.name)
            stage.worker_exited(worker.name, 'signal 9', suspect, self.now)

        self.event(exit_)
        if self.workers[worker.stage].get(worker.name) is worker:
            self.workers[worker.stage][worker.name] = FakeWorker(worker.stage, worker.name)

    def add_worker(self, stage: int) -> None:
        name = self.stages[stage % len(self.stages)].name
        free = [f'w{i}' for i in range(MAX_WORKERS) if f'w{i}' not in self.workers[name]]
        if free:
            self.workers[name][free[0]] = FakeWorker(name, free[0])

    def remove_worker(self, which: int) -> None:
        """Stop a worker: it returns its items, and exits."""
        worker = self.pick(which)
        if len(self.workers[worker.stage]) > 1 and worker.is_connected:
            self.make_unavailable(worker)
            self.answer(which, 9, 'returned')
            if worker.is_connected and not worker.received and not worker.inbox:
                worker.is_alive = False

                def exit_() -> None:
                    self.dispatcher.stages[worker.stage].worker_exited(
                        worker.name, 'exited', None, self.now
                    )

                self.event(exit_)
                if self.workers[worker.stage].get(worker.name) is worker:
                    del self.workers[worker.stage][worker.name]
