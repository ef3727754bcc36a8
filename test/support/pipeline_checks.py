# SPDX-License-Identifier: Apache-2.0
"""Invariants of a simulated pipeline after each event, and at its end."""

from __future__ import annotations

from collections.abc import Callable

from support.pipeline_model import PipelineModel
from support.pipeline_workers import MAX_CONCURRENCY
from worker_pipeline.core.ledger import Overflow
from worker_pipeline.core.stage_dispatcher import StageDispatcher


class CheckedPipeline(PipelineModel):
    """A pipeline that is checked after each event."""

    def event(self, happen: Callable[[], object]) -> None:
        crashes = self.crashes
        super().event(happen)
        if self.crashes > crashes:
            self.longest.clear()  # a policy may have changed within the event
        self.check()

    def check(self) -> None:
        self.check_rejections()
        self.account.check(self.dispatcher, payloads_lost=self.payloads_lost)
        for stage in self.stages:
            self.check_queue(stage)
            self.check_workers(stage)
            self.check_that_it_is_not_stalled(stage)
        self.check_memory()

    def check_queue(self, stage: StageDispatcher) -> None:
        """Check that a queue is within its size, and places for outputs still to come, too.

        A smaller size, and a queue that begins to block, hold from when the queue has emptied.
        """
        ledger, name = stage.ledger, stage.name
        fits = ledger.queued + stage._reserved <= ledger.queue_size
        if ledger.overflow is Overflow.BLOCK:
            was_kept = self.kept_within.get(name) == ledger.policy
            assert fits or not was_kept, 'a queue that blocks was granted too much'
            self.kept_within[name] = ledger.policy if fits else None
        else:
            self.kept_within.pop(name, None)
        most = max(ledger.queue_size, self.longest.get(name, ledger.queued))
        assert ledger.queued <= most or ledger.overflow is Overflow.BLOCK
        self.longest[name] = max(ledger.queued, ledger.queue_size)

    def check_workers(self, stage: StageDispatcher) -> None:
        for worker in stage.ledger.workers:
            assert stage.ledger.held_by(worker) <= MAX_CONCURRENCY

    def check_that_it_is_not_stalled(self, stage: StageDispatcher) -> None:
        """Check that no item waits which a worker could take, and which may begin."""
        ledger = stage.ledger
        assert not stage._is_asked, 'a source was not ticked'
        has_work = ledger.waiting or stage._tick_is_due()
        if not has_work or stage.pool.least_loaded(ledger.held_by) is None:
            return
        assert not ledger.returned, 'a returned item waits'
        capacity = len(stage.pool) * stage.pool.get_worker_concurrency()
        is_bounded = stage.policy.ordered and (
            ledger.outstanding >= max(stage.policy.queue_size, capacity)
        )
        has_credit = all(each.has_credit for each in stage.followers)
        if has_credit and not is_bounded:
            assert stage.name in self.dispatcher.budget.blocked, 'an item waits that may begin'

    def check_memory(self) -> None:
        """Check that frames that exist and frames still to come fit, but for those inline."""
        if not self.memory.limit:
            return
        assert self.memory.needed <= self.memory.limit
        committed = sum(
            stage.ledger.started * self.frame_sizes[stage.name] for stage in self.stages
        )
        # A worker may pass on a frame that a new manager does not know of yet.
        passed_on = self._unknown_outputs(self.passes_on)
        existing = self.memory.bytes_of([*self._payloads(), *passed_on])
        if existing + committed > self.memory.limit:
            assert self.may_send_inline, 'more frames may come than fit'
        else:
            sizes = self.dispatcher.budget._output_bytes
            self.may_send_inline = any(
                sizes[name] < size for name, size in self.frame_sizes.items()
            )

    def drain(self) -> None:
        """Let all workers answer until the pipeline is empty, with no other event than time."""
        self.crash_in = None
        for which in range(len(self.all_workers())):
            self.connect(which)
            self.make_available(self.pick(which))
        left = sum(stage.ledger.unfinished for stage in self.stages)
        for _ in range(10 * len(self.stages) * (left + 10)):
            if all(stage.ledger.empty for stage in self.stages):
                break
            for which, worker in enumerate(self.all_workers()):
                worker.receive()
                if worker.received:
                    is_tick = worker.received[0][1].startswith('t')
                    self.answer(which, 1, 'ended' if is_tick else 'output')
            self.tick()
        self.account.check_the_end(self.dispatcher, payloads_lost=self.payloads_lost)
        self.memory.release_unreferenced()
        assert self.memory.taken == 0, 'frames are left that nobody needs'
