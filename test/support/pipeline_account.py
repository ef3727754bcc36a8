# SPDX-License-Identifier: Apache-2.0
"""The outcome of every item of a simulated pipeline, from its manager's commits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from support.pipeline_payloads import identity_of
from worker_pipeline.core.dispatcher import Dispatcher
from worker_pipeline.core.dispatcher_actions import (
    Action,
    PublishOutput,
    QuarantineItem,
    SendItem,
)

Change = tuple[str, str, tuple[Any, ...]]


class StageAccount:
    """The items of one stage."""

    def __init__(self) -> None:
        self.accepted: dict[str, int] = {}  # their numbers by their identities
        self.finished: dict[int, str] = {}  # how
        self.outputs: dict[str, int] = {}  # the numbers of their items
        self.published: dict[str, None] = {}  # outputs, in order
        self.ordered: set[int] = set()  # items that have a place in the order
        self.last_ordered = 0  # of those published
        self.may_drop = False  # whether items may be dropped, or ever might


class PipelineAccount:
    """The items of all stages. ``commit`` is called with each event that is committed."""

    def __init__(self, stages: Sequence[str]) -> None:
        self.stages = {stage: StageAccount() for stage in stages}
        self.followers: dict[str, tuple[str, ...]] = {}

    def commit(self, changes: Sequence[Change], actions: Sequence[Action]) -> None:
        """Take over an event, and check that every output of a stage has reached its followers."""
        for stage, name, arguments in changes:
            self._apply(self.stages[stage], name, arguments)
        for action in actions:
            account = self.stages[action.stage]
            if isinstance(action, PublishOutput):
                self._publish(action.stage, account, identity_of(action.payload))
            elif isinstance(action, QuarantineItem):
                self._finish(account, action.item.number, 'quarantined')
            elif isinstance(action, SendItem) and action.item.sequence is not None:
                account.ordered.add(action.item.number)

    def _apply(self, account: StageAccount, name: str, arguments: tuple[Any, ...]) -> None:
        if name == 'accept':
            identity = identity_of(arguments[2])
            assert identity not in account.accepted, 'accepted twice'
            account.accepted[identity] = len(account.accepted) + 1
        elif name == 'complete':
            _, number, outputs = arguments
            if number not in account.finished:
                self._finish(account, number, 'completed')
                for output in outputs:
                    account.outputs[identity_of(output)] = number
        elif name in ('retract', 'refuse') and arguments[1] not in account.finished:
            self._finish(account, arguments[1], name)

    @staticmethod
    def _finish(account: StageAccount, number: int, how: str) -> None:
        assert number not in account.finished, 'it had finished before'
        account.finished[number] = how

    def _publish(self, stage: str, account: StageAccount, output: str) -> None:
        assert output not in account.published, 'published twice'
        account.published[output] = None
        number = account.outputs[output]
        if number in account.ordered:
            assert number > account.last_ordered, 'out of order'
            account.last_ordered = number
        for follower in self.followers[stage]:
            assert output in self.stages[follower].accepted, 'it has not reached a follower'

    def check(self, dispatcher: Dispatcher, *, payloads_lost: bool) -> None:
        """Check the counters of every stage against the account.

        Args:
            dispatcher: of the manager that runs.
            payloads_lost: whether messages were lost in a crash, as they were in no journal.
        """
        for name, stage in dispatcher.stages.items():
            account, ledger, counters = self.stages[name], stage.ledger, stage.ledger.counters
            ways = list(account.finished.values())
            for way in ('completed', 'quarantined'):
                assert getattr(counters, way) == ways.count(way)
            without_message = counters.delivered - len(account.published)
            # A crash while a stage resumes counts outputs that were discarded without a message.
            assert without_message >= 0 if payloads_lost else without_message == 0
            left_out = ways.count('retract') + ways.count('refuse')
            assert counters.accepted == len(account.accepted) - left_out
            here = ledger.queued + ledger.returned + ledger.in_flight
            done = counters.completed + counters.dropped + counters.quarantined
            assert counters.accepted == here + done
            assert ledger.last_number == len(account.accepted)
            if not account.may_drop:
                assert counters.dropped == 0, 'a stage that blocks has lost an item'

    def check_the_end(self, dispatcher: Dispatcher, *, payloads_lost: bool) -> None:
        """Check that every item has left the pipeline in one way.

        Args:
            dispatcher: of the manager that ran last.
            payloads_lost: whether messages were lost in a crash, as they were in no journal.
        """
        self.check(dispatcher, payloads_lost=payloads_lost)
        for name, stage in dispatcher.stages.items():
            account, counters = self.stages[name], stage.ledger.counters
            assert stage.ledger.empty
            assert stage.ledger.workers == []
            unfinished = set(account.accepted.values()) - set(account.finished)
            assert len(unfinished) == counters.dropped
            if not payloads_lost:
                assert set(account.published) == set(account.outputs), 'an output is lost'
