# SPDX-License-Identifier: Apache-2.0
"""A manager in memory: it commits the dispatcher's events, carries out its actions, and may crash.

The steps of the manager's real process, in the same order: an event is committed to the journal,
items are sent, scheduled stages are dispatched as another event, and frames are released.
"""

from __future__ import annotations

import marshal
from collections.abc import Callable, Iterable
from typing import Any

from support.pipeline_account import Change, PipelineAccount
from support.pipeline_payloads import CountedFrames, make_payload, stamp_of
from support.pipeline_workers import FakeWorker
from worker_pipeline.core.dispatcher import Dispatcher
from worker_pipeline.core.dispatcher_actions import (
    Action,
    AskSource,
    PublishOutput,
    ReportRejection,
    SendItem,
)
from worker_pipeline.core.item import TICK
from worker_pipeline.core.ledger import Acceptance, Ledger, Overflow
from worker_pipeline.core.stage_policy import EXTERNAL_INPUT, StagePolicy


class ManagerCrashedError(Exception):
    pass


def payloads_of(ledger: Ledger) -> Iterable[str | None]:
    """Yield every payload in a ledger."""
    for item in (*ledger._waiting, *ledger._started.values()):
        yield item.payload
    for delivered in ledger._order._held.values():
        for each in delivered:
            yield each.payload


class PipelineShell:
    """The manager's process, and the workers that outlive it.

    Args:
        policies: by stage.
        frame_sizes: by stage, the bytes of frame memory that each of its outputs takes.
        limit: bytes of frame memory.
        journal: whether the journal has the messages themselves.
    """

    def __init__(
        self,
        policies: dict[str, StagePolicy],
        frame_sizes: dict[str, int],
        limit: int,
        journal: bool,
    ) -> None:
        self.policies = policies
        self.frame_sizes = frame_sizes
        self.journal = journal
        self.payloads_lost = False
        self.memory = CountedFrames(limit, self._payloads, self._unknown_outputs)
        self.account = PipelineAccount(list(policies))
        self.workers: dict[str, dict[str, FakeWorker]] = {name: {} for name in policies}
        self.clock = 1000  # ROS time, ns
        self.now = 0.0
        self.rejected: list[ReportRejection] = []
        self.is_reconnecting = False
        # Set where frames may be sent inline: a size is not known yet, or waiting would not end.
        self.may_send_inline = True
        self.crash_in: int | None = None  # commits until the manager crashes
        self.crashes_before_commit = False
        self.crashes = 0
        self.inline_admissions = 0
        self.drops_for_memory = 0
        self._changes: list[Change] = []
        self._actions: list[Action] = []
        self._committed: list[bytes] = []
        self._snapshot = b''
        self._expected: Any = None
        self.dispatcher = self.make_dispatcher()
        self.account.followers = {
            name: self.dispatcher.graph.followers(name) for name in self.policies
        }
        for name, policy in policies.items():
            self.note_policy(name, policy)
        self.checkpoint()

    def make_dispatcher(self) -> Dispatcher:
        dispatcher = Dispatcher(self.policies, self.memory, stamp_of, self._recorder)
        budget, make_room = dispatcher.budget, dispatcher.budget.make_room

        def checked_make_room(stage: str) -> bool:
            needed, dropped = self.memory.needed, sum(budget.dropped.values())
            may_begin = make_room(stage)
            self.check_that_drops_made_room(needed, sum(budget.dropped.values()) - dropped)
            if may_begin and not budget.has_room(stage):
                self.check_that_waiting_would_not_end(stage)
                self.may_send_inline = True
                self.inline_admissions += 1
            return may_begin

        budget.make_room = checked_make_room  # type: ignore[method-assign]
        return dispatcher

    def note_policy(self, name: str, policy: StagePolicy) -> None:
        """Note whether a stage may drop items from now on."""
        self.policies[name] = policy
        self.account.stages[name].may_drop |= policy.overflow is Overflow.DROP_OLDEST

    def _payloads(self) -> Iterable[str | None]:
        for stage in self.dispatcher.stages.values():
            yield from payloads_of(stage.ledger)
        for action in self.dispatcher.actions:
            if isinstance(action, PublishOutput):
                yield action.payload

    def _unknown_outputs(self, stages: Iterable[str] | None = None) -> Iterable[str]:
        """Yield the outputs that living workers of some, or all, stages have for open items."""
        for name in self.workers if stages is None else stages:
            workers = self.workers[name]
            finished = self.account.stages[name].finished
            for worker in workers.values():
                for answer in worker.recent if worker.is_alive else ():
                    if answer.output is not None and answer.number not in finished:
                        yield answer.output.payload

    # -- events ----------------------------------------------------------------------------------

    def event(self, happen: Callable[[], object]) -> None:
        """Let something happen, and carry out all that it leads to; the manager may crash."""
        try:
            happen()
            self.run_to_rest()
        except ManagerCrashedError:
            self.restart()

    def restart(self) -> None:
        raise NotImplementedError

    def run_to_rest(self) -> None:
        """Commit the event, and all events that follow from it."""
        while True:
            self._collect()
            if any(isinstance(each, SendItem) for each in self._actions) or (
                not self.dispatcher.scheduled
            ):
                self._commit()
            if not self.dispatcher.scheduled and self.memory.release_unreferenced():
                self.dispatcher.frames_released()
            if not self.dispatcher.scheduled:
                return
            self.dispatcher.dispatch_scheduled()

    def _collect(self) -> None:
        while self.dispatcher.actions:
            for action in self.dispatcher.take_actions():
                if isinstance(action, AskSource):
                    self._tick(action.stage)
                    continue
                if isinstance(action, ReportRejection):
                    self.rejected.append(action)
                elif isinstance(action, SendItem) and not self.is_reconnecting:
                    self._check_send(action)
                self._actions.append(action)

    def _tick(self, name: str) -> None:
        def make(stamp: int, _: int) -> str:
            return make_payload(f't{stamp}', stamp)

        self.clock += 1
        self.dispatcher.stages[name].tick(make, self.clock, None, self.now)

    def _check_send(self, action: SendItem) -> None:
        stage = self.dispatcher.stages[action.stage]
        assert self.workers[action.stage][action.worker].is_available, 'sent to one that is not'
        assert stage.ledger.held_by(action.worker) <= stage.policy.concurrency
        assert action.item.payload is not None

    def _commit(self, *, is_recorded: bool = True) -> None:
        """Commit the collected records, then send items; a crash may come before or after.

        ``is_recorded``: whether the journal has all changes of the event.
        """
        if self.crash_in == 0 and self.crashes_before_commit:
            raise ManagerCrashedError
        self._committed += [marshal.dumps(self._stripped(change)) for change in self._changes]
        actions = self._actions[:]
        self.account.commit(self._changes, actions)
        self._changes.clear()
        self._actions.clear()
        if self.crash_in is not None:
            self._expected = self.states() if is_recorded else None
            if self.crash_in == 0:
                raise ManagerCrashedError
            self.crash_in -= 1
        for action in actions:
            if isinstance(action, SendItem):
                worker = self.workers[action.stage][action.worker]
                worker.inbox.append((action.item.number, action.item.payload))

    # -- the journal -----------------------------------------------------------------------------

    def _recorder(self, stage: str) -> Callable[[str, tuple[Any, ...]], None]:
        return lambda name, arguments: self._changes.append((stage, name, arguments))

    def _stripped(self, change: Change) -> Change:
        stage, name, arguments = change
        if not self.journal and name == 'accept':
            arguments = (*arguments[:2], None, arguments[3])
        elif not self.journal and name == 'complete':
            arguments = (*arguments[:2], (None,) * len(arguments[2]))
        return stage, name, arguments

    def checkpoint(self) -> None:
        """Replace the journal by a snapshot of the whole pipeline."""
        assert not self._changes
        stages = self.dispatcher.stages.items()
        self._snapshot = marshal.dumps(
            {name: stage.snapshot(payloads=self.journal) for name, stage in stages}
        )
        self._committed.clear()
        if self.crash_in is not None:
            self._expected = self.states()

    def arm_crash(self, commits: int, *, before: bool) -> None:
        """Let the manager crash in this many commits, ``before`` or after the last of them."""
        self.crash_in, self.crashes_before_commit = commits, before
        self._expected = self.states()

    def states(self) -> dict[str, Any]:
        """Return the state of each stage, apart from its unrecorded part."""
        states = {}
        for name, stage in self.dispatcher.stages.items():
            state = stage.snapshot(payloads=self.journal)
            for counter in ('duplicates', 'duplicate_answers', 'refused'):
                del state['ledger']['counters'][counter]
            state['routes'].sort()
            del state['source']['last']
            states[name] = state
        return states

    # -- invariants ------------------------------------------------------------------------------

    def check_that_waiting_would_not_end(self, name: str) -> None:
        """Check that no connected stage would release a frame on its own."""
        graph, stages = self.dispatcher.graph, self.dispatcher.stages
        for each in graph.connected(name):
            ledger = stages[each].ledger
            assert not ledger.started
            assert not ledger.waiting or stages[each].pool
        droppable = [
            each
            for each in graph.followers(name)
            if stages[each].ledger.overflow is Overflow.DROP_OLDEST
        ]
        for each in droppable:
            for payload in stages[each].ledger.queued_payloads:
                assert self._is_needed_elsewhere(payload, droppable), 'it could have been dropped'

    def _is_needed_elsewhere(self, payload: str, droppable: list[str]) -> bool:
        """Return whether dropping a payload from these stages' queues would free nothing."""
        frame = self.memory.frame_of(payload)
        queued = sum(
            self.memory.frame_of(each) == frame
            for name in droppable
            for each in self.dispatcher.stages[name].ledger.queued_payloads
        )
        everywhere = sum(
            self.memory.frame_of(each) == frame
            for stage in self.dispatcher.stages.values()
            for each in payloads_of(stage.ledger)
        )
        return frame is None or everywhere > queued

    def check_that_drops_made_room(self, needed: int, dropped: int) -> None:
        """Check that memory was freed where items were dropped for it.

        Not while an output with the frame waits to be published: it is freed after that.
        """
        published = any(isinstance(each, PublishOutput) for each in self.dispatcher.actions)
        assert not dropped or published or self.memory.needed < needed, 'dropped for nothing'
        self.drops_for_memory += dropped

    def check_rejections(self) -> None:
        """Check that only items from outside were rejected, and only by queues that block."""
        for _, key, reason in self.rejected:
            assert key.source == EXTERNAL_INPUT or key.source.startswith('/'), 'an output is lost'
            assert key.source != TICK
            assert reason is Acceptance.REFUSED
        self.rejected.clear()
