# SPDX-License-Identifier: Apache-2.0
"""The flow of items through a whole pipeline, without processes, ROS or a clock.

Events and the time go in, through the stages' dispatchers; actions come out. A shell carries the
actions out after each event, in this order: it commits the event to the journal, sends items to
workers, and publishes outputs last. Stages that may continue as a consequence are scheduled, and
dispatched as an event of their own, so that no worker waits for their work to be arranged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from worker_pipeline.core.dispatcher_actions import Action
from worker_pipeline.core.frame_budget import FrameBudget, FrameMemory
from worker_pipeline.core.graph import StageGraph
from worker_pipeline.core.ledger import Record
from worker_pipeline.core.runs import Runs
from worker_pipeline.core.stage_dispatcher import StageDispatcher
from worker_pipeline.core.stage_policy import StagePolicy


class Dispatcher:
    """The dispatchers of all stages of a pipeline, linked with each other.

    Args:
        policies: by stage, in the order of the configuration.
        memory: the memory that frames are in.
        stamp_of: returns the stamp of a serialised message, ns.
        recorder: by stage, the receiver of its changes, for the journal; none are recorded without.
    """

    def __init__(
        self,
        policies: Mapping[str, StagePolicy],
        memory: FrameMemory,
        stamp_of: Callable[[Any], int],
        recorder: Callable[[str], Record] | None = None,
    ) -> None:
        self.graph = StageGraph(
            {
                name: [each for each in policy.inputs if each in policies]
                for name, policy in policies.items()
            }
        )
        self.actions: list[Action] = []  # since they were taken last
        self.scheduled: dict[StageDispatcher, None] = {}  # to be dispatched, in order, each once
        self.runs = Runs()
        self.stages = {
            name: StageDispatcher(
                name,
                policy,
                recorder(name) if recorder is not None else None,
                self.actions.append,
                self.scheduled.setdefault,
                stamp_of,
                self.runs,
            )
            for name, policy in policies.items()
        }
        self.budget = FrameBudget(
            self.graph,
            {name: stage.ledger for name, stage in self.stages.items()},
            {name: stage.pool for name, stage in self.stages.items()},
            memory,
        )
        for name, stage in self.stages.items():
            stage.budget = self.budget
            stage.followers = tuple(self.stages[each] for each in self.graph.followers(name))
            stage.upstream = tuple(self.stages[each] for each in self.graph.upstream(name))

    def take_actions(self) -> list[Action]:
        """Return the actions since the last call, in the order in which they were decided."""
        actions = self.actions.copy()
        self.actions.clear()
        return actions

    def dispatch_scheduled(self) -> None:
        """Dispatch the stages that are scheduled, and those that this schedules, as one event."""
        while self.scheduled:
            stage = next(iter(self.scheduled))
            del self.scheduled[stage]
            stage.dispatch()

    def frames_released(self) -> None:
        """Schedule the stages that waited for frame memory: there may be more of it now."""
        blocked, self.budget.blocked = self.budget.blocked, set()
        for name in self.graph.stages:
            if name in blocked:
                self.stages[name].schedule()

    def begin_run(self, now: float, before: int | None = None) -> int:
        """Begin a new run, in which stamps of earlier ones are new items. Returns its number.

        The arguments are those of :meth:`Runs.begin`.
        """
        self.runs.begin(now, before)
        for stage in self.stages.values():
            stage.run_started(now)
        return self.runs.number

    def close_intake(self) -> None:
        """Accept no more items from outside, and ask the sources for no more."""
        for stage in self.stages.values():
            stage.is_open = False
