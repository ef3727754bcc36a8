# SPDX-License-Identifier: Apache-2.0
"""Admission by frame memory: whether a stage may begin an item that will yield one more frame.

Frames are large messages in shared memory, which is bounded. A stage waits for room until others
release frames. Two rules keep that from being a deadlock. A stage that turns frames into frames
holds its input until its output exists; so stages before it leave room for one output of each
stage behind them. And where no connected stage will release a frame on its own, the item begins
all the same: its frame is then sent inline, through a socket.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sized
from itertools import zip_longest
from typing import Any, Protocol

from worker_pipeline.core.graph import StageGraph
from worker_pipeline.core.ledger import Ledger, Overflow


class FrameMemory(Protocol):
    """The shared memory that all frames of a pipeline are in."""

    limit: int  # bytes; 0: there is none

    @property
    def needed(self) -> int:
        """Return the bytes of the frames that items still refer to."""

    def frame_of(self, payload: Any) -> Hashable | None:
        """Return the identity of the frame that a payload refers to; None if it has none."""


class FrameBudget:
    """How much frame memory each stage needs, and whether a stage may start an item.

    Args:
        graph: the links between the stages.
        ledgers: by stage.
        pools: by stage, its workers that may be given work.
        memory: the bytes in use and the capacity.
    """

    def __init__(
        self,
        graph: StageGraph,
        ledgers: Mapping[str, Ledger],
        pools: Mapping[str, Sized],
        memory: FrameMemory,
    ) -> None:
        self._graph = graph
        self._ledgers = ledgers
        self._pools = pools
        self._memory = memory
        self._connected = {stage: tuple(graph.connected(stage)) for stage in graph.stages}
        self._downstream = {stage: tuple(graph.downstream(stage)) for stage in graph.stages}
        self._before = {stage: tuple(graph.before(stage)) for stage in graph.stages}
        # By stage: the size of its largest output that was a frame, bytes.
        self._output_bytes = dict.fromkeys(graph.stages, 0)
        # Stages with an item to begin that found no room for its frame.
        self.blocked: set[str] = set()
        # By stage: how many items its queue has lost to make room.
        self.dropped = dict.fromkeys(graph.stages, 0)

    def record_output(self, stage: str, size: int) -> None:
        """Note that an output of the stage took ``size`` bytes of frame memory."""
        self._output_bytes[stage] = max(size, self._output_bytes[stage])

    def committed_bytes(self, stage: str) -> int:
        """Return the bytes of the frames that started items of the stage are about to yield.

        Items without a message may yield the frame that they came with: it exists, and nothing in
        the manager refers to it.
        """
        ledger = self._ledgers[stage]
        committed = ledger.started * self._output_bytes[stage]
        if without_message := ledger.started_without_message:
            committed += without_message * self._input_bytes(stage)
        return committed

    def _input_bytes(self, stage: str) -> int:
        """Return the size of the largest frame that an item of the stage may have come with."""
        return max((self._output_bytes[each] for each in self._before[stage]), default=0)

    def has_room(self, stage: str) -> bool:
        """Return whether one more frame of this stage fits. Changes nothing."""
        size = self._output_bytes[stage]
        if not size or not self._memory.limit:
            return True
        committed = sum(map(self.committed_bytes, self._connected[stage]))
        reserved = sum(
            self._output_bytes[each]
            for each in self._downstream[stage]
            if not self._ledgers[each].started
        )
        return self._memory.needed + committed + size + reserved <= self._memory.limit

    def make_room(self, stage: str) -> bool:
        """Get room for one more frame of a stage that is about to begin an item.

        Followers whose queues drop items drop some for the new one, the oldest first, but only
        those whose frames nothing else needs.

        Returns:
            Whether the item may begin: the frame fits, or waiting for room would never end.
        """
        self.blocked.discard(stage)
        while not self.has_room(stage):
            if self._drop_oldest(stage):
                continue
            if any(map(self._can_progress, self._connected[stage])):
                self.blocked.add(stage)
                return False
            break
        return True

    def _drop_oldest(self, stage: str) -> bool:
        """Drop all items with the oldest frame that this frees. Returns whether there was one."""
        queues = {
            each: [self._memory.frame_of(payload) for payload in ledger.queued_payloads]
            for each in self._graph.followers(stage)
            if (ledger := self._ledgers[each]).overflow is Overflow.DROP_OLDEST and ledger.queued
        }
        if not queues:
            return False
        kept = self._frames_outside(stage, queues)
        waiting = (frame for frames in zip_longest(*queues.values()) for frame in frames)
        oldest = next((frame for frame in waiting if frame not in kept), None)
        if oldest is None:
            return False
        for each, frames in queues.items():
            for position in reversed(range(len(frames))):
                if frames[position] == oldest:
                    self._ledgers[each].drop_oldest(skip=position)
                    self.dropped[each] += 1
        return True

    def _frames_outside(self, stage: str, queues: Mapping[str, Any]) -> set[Hashable | None]:
        """Return the frames of all items but the queued ones of some stages; and None."""
        kept: set[Hashable | None] = {None}
        for each in self._connected[stage]:
            ledger = self._ledgers[each]
            kept.update(map(self._memory.frame_of, ledger.other_payloads))
            if each not in queues:
                kept.update(map(self._memory.frame_of, ledger.queued_payloads))
        return kept

    def _can_progress(self, stage: str) -> bool:
        """Return whether items of the stage will move on: they started, or wait for a worker."""
        ledger = self._ledgers[stage]
        return bool(ledger.started or (ledger.waiting and not len(self._pools[stage])))
