# SPDX-License-Identifier: Apache-2.0
"""Restarts of a simulated pipeline's manager, from its journal and from its workers' state."""

from __future__ import annotations

import marshal
import random

import attrs

from support.pipeline_shell import ManagerCrashedError, PipelineShell
from support.pipeline_workers import Answer, FakeWorker
from worker_pipeline.core.dispatcher_actions import SendItem
from worker_pipeline.core.ledger import Overflow
from worker_pipeline.core.stage_policy import StagePolicy


class RestartingShell(PipelineShell):
    """A manager that is restarted when it has crashed.

    ``chance``: decides about the workers meanwhile.
    """

    chance: random.Random

    def restart(self) -> None:
        """Restore the pipeline; the manager may crash again while it does."""
        # Without a manager the frames stay that the last event no longer needed.
        self.may_send_inline = True
        while True:
            self.crashes += 1
            self.note_lost_payloads()
            self.crash_in = None
            self._changes.clear()
            self._actions.clear()
            self.rejected.clear()
            for workers in self.workers.values():
                for worker in workers.values():
                    self.let_run_without_manager(worker)
            self.restore()
            if self.chance.random() < 0.2:
                self.crash_in = self.chance.randrange(3)
            try:
                for name in self.chance.sample(sorted(self.policies), len(self.policies)):
                    self.resume_stage(name)
            except ManagerCrashedError:
                continue
            self.crash_in = None
            return

    def note_lost_payloads(self) -> None:
        """Note that every stage may lose items now, if the journal has no messages."""
        if not self.journal:
            self.payloads_lost = True
            for account in self.account.stages.values():
                account.may_drop = True

    def restore(self) -> None:
        """Make a new dispatcher from the journal: it must be as the last event left the old one."""
        if self.chance.random() < 0.3:
            for name, policy in self.policies.items():
                self.note_policy(name, self.drawn_policy(policy))
        self.dispatcher = self.make_dispatcher()
        stages = self.dispatcher.stages
        for name, state in marshal.loads(self._snapshot).items():
            stages[name].restore(state)
        for each in self._committed:
            name, call, arguments = marshal.loads(each)
            stages[name].replay(call, arguments)
        assert not self._changes, 'replayed changes were recorded again'
        assert self.dispatcher.take_actions() == [], 'the replay decided something'
        if self._expected is not None:
            assert self.states() == self._expected
        for name, stage in stages.items():
            stage.set_policy(self.policies[name])
            if self.chance.random() < 0.5:
                self.dispatcher.budget.record_output(name, self.frame_sizes[name])

    def drawn_policy(self, policy: StagePolicy) -> StagePolicy:
        """Return another policy for the same stage."""
        chance = self.chance
        return attrs.evolve(
            policy,
            queue_size=chance.randrange(1, 6),
            overflow=chance.choice(list(Overflow)),
            max_attempts=chance.randrange(1, 4),
            ordered=chance.random() < 0.7,
            concurrency=chance.randrange(1, 4),
        )

    def let_run_without_manager(self, worker: FakeWorker) -> None:
        """Let a worker process its received items, or die, while there is no manager."""
        chance = self.chance
        while len(worker.inbox) > chance.randrange(len(worker.inbox) + 1):
            worker.inbox.pop()
        worker.receive()
        worker.is_connected = worker.is_available = False
        if worker.is_alive:
            for _ in range(chance.randrange(len(worker.received) + 1)):
                self.process(worker, self.drawn_answer(worker))
            worker.is_alive = chance.random() < 0.8

    def drawn_answer(self, worker: FakeWorker) -> str:
        raise NotImplementedError

    def process(self, worker: FakeWorker, kind: str) -> Answer:
        raise NotImplementedError

    def resume_stage(self, name: str) -> None:
        """Continue with a stage's recovered state, and release the items of its dead workers."""
        chance, stage, workers = self.chance, self.dispatcher.stages[name], self.workers[name]
        payloads = {
            number: payload
            for worker in workers.values()
            for number, payload in worker.received
            if worker.is_alive or chance.random() < 0.5
        }
        stage.resume(payloads, self.now)
        for holder in stage.ledger.workers:
            if holder not in workers or not workers[holder].is_alive:
                had = workers[holder].received if holder in workers else []
                suspect = had[0][0] if had and chance.random() < 0.5 else None
                stage.worker_exited(holder, 'died without a manager', suspect, self.now)
        assert not any(isinstance(each, SendItem) for each in self.dispatcher.actions)
        self._collect()
        self._commit(is_recorded=False)
        self.checkpoint()
        for dead in [each for each in workers.values() if not each.is_alive]:
            workers[dead.name] = FakeWorker(name, dead.name)
