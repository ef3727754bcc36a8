# SPDX-License-Identifier: Apache-2.0
"""A dispatcher in memory for tests, with short forms of the events that tests use most."""

from __future__ import annotations

from typing import Any

from worker_pipeline.core.dispatcher import Dispatcher
from worker_pipeline.core.dispatcher_actions import Action, SendItem
from worker_pipeline.core.item import Item
from worker_pipeline.core.ledger import Ledger, Overflow
from worker_pipeline.core.stage_dispatcher import StageDispatcher
from worker_pipeline.core.stage_policy import StagePolicy

BLOCK, DROP_OLDEST = Overflow.BLOCK, Overflow.DROP_OLDEST


class FakeMemory:
    """Frame memory with figures set by the test.

    ``needed`` changes with the frames in ``ledgers``, each of ``frame_bytes``; beside them it is as
    it was set last.
    """

    def __init__(self, limit: int = 0) -> None:
        self.limit = limit
        self.ledgers: list[Ledger] = []
        self.frame_bytes = 10
        self._besides = 0

    @property
    def needed(self) -> int:
        return self._besides + self._in_ledgers

    @needed.setter
    def needed(self, value: int) -> None:
        self._besides = value - self._in_ledgers

    @property
    def _in_ledgers(self) -> int:
        frames = {
            self.frame_of(payload)
            for ledger in self.ledgers
            for payload in (*ledger.queued_payloads, *ledger.other_payloads)
        }
        return self.frame_bytes * len(frames - {None})

    def frame_of(self, payload: Any) -> Any:
        """Return the frame of a payload: of each its own, unless two are equal."""
        return payload


def stage(*inputs: str, **settings: Any) -> StagePolicy:
    """Return the policy of a stage: queue of 10, concurrency of 1, or as in ``settings``."""
    return StagePolicy(**{'queue_size': 10, 'concurrency': 1, 'inputs': inputs, **settings})


def source(**settings: Any) -> StagePolicy:
    """Return the policy of a source; of one without a period, unless ``settings`` have one."""
    return stage(is_source=True, **settings)


def stamp_of(payload: str) -> int:
    """Return the stamp that is part of a test's payload: ``text@stamp``."""
    return int(payload.rpartition('@')[2])


class Flow:
    """A dispatcher, its memory, and its actions.

    Each stage has one worker, ``w0``, unless given in ``workers``.
    """

    def __init__(
        self, *, limit: int = 0, workers: int = 1, recorder: Any = None, **stages: StagePolicy
    ) -> None:
        self.memory = FakeMemory(limit)
        self.dispatcher = Dispatcher(stages, self.memory, stamp_of, recorder)
        self.now = 0.0
        for each in self.dispatcher.stages.values():
            for index in range(workers):
                each.worker_available(f'w{index}')
        self.dispatcher.dispatch_scheduled()

    def __getattr__(self, name: str) -> StageDispatcher:
        try:
            return self.dispatcher.stages[name]
        except KeyError:
            raise AttributeError(name) from None

    def receive(self, name: str, *stamps: int, by: str = 'input') -> None:
        """Let a stage receive items with these stamps, from outside."""
        for stamp in stamps:
            self.dispatcher.stages[name].item_received(by, stamp, f'{by}@{stamp}', self.now)

    def answer(self, name: str, number: int, worker: str = 'w0', frame_bytes: int = 0) -> None:
        """Let a worker answer an item with an output of the item's stamp, as one event."""
        each = self.dispatcher.stages[name]
        stamp = each.ledger._started[number].key.stamp
        each.output_received(worker, number, f'{name}@{stamp}', self.now, frame_bytes)
        each.answers_received()

    def take(self, kind: type[Any] | None = None) -> list[Any]:
        """Dispatch the scheduled stages. Returns all actions since the last call, or of a kind."""
        self.dispatcher.dispatch_scheduled()
        return self.take_now(kind)

    def take_now(self, kind: type[Any] | None = None) -> list[Any]:
        """Return all actions since the last call, or those of a kind; dispatch nothing."""
        actions: list[Action] = self.dispatcher.take_actions()
        return [each for each in actions if kind is None or isinstance(each, kind)]

    def sent(self) -> list[tuple[str, str, int]]:
        """Dispatch the scheduled stages. Returns the sent items: stage, worker, item's number."""
        return [(each.stage, each.worker, each.item.number) for each in self.take(SendItem)]

    def sent_now(self) -> list[tuple[str, str, int]]:
        """Return the items sent since the last call; dispatch nothing."""
        return [(each.stage, each.worker, each.item.number) for each in self.take_now(SendItem)]

    def tick(self, name: str, ros: int) -> None:
        """Answer an ``AskSource``, at a ROS time in ns."""
        each = self.dispatcher.stages[name]
        each.tick(lambda stamp, since: f'{since}@{stamp}', ros, None, self.now)


def items(actions: list[SendItem]) -> list[Item]:
    """Return the items of these actions."""
    return [each.item for each in actions]
