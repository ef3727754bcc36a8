# SPDX-License-Identifier: Apache-2.0
"""The state of one stage's flow, which a later manager takes over: as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from worker_pipeline.core.item import TICK, ItemKey
from worker_pipeline.core.ledger import Ledger, Record
from worker_pipeline.core.repeated_items import RepeatedItems
from worker_pipeline.core.routes import Routes
from worker_pipeline.core.runs import Runs
from worker_pipeline.core.stage_policy import EXTERNAL_INPUT, StagePolicy
from worker_pipeline.core.tick_source import TickSource


class StageFlowState:
    """The items of one stage, where they come from, and the run that they belong to.

    Args:
        name: the stage's.
        policy: its settings.
        record: receives each change that a later manager has to repeat.
        runs: the present run of the pipeline.
    """

    def __init__(self, name: str, policy: StagePolicy, record: Record | None, runs: Runs) -> None:
        self.name = name
        self.policy = policy
        self.ledger = Ledger(**policy.ledger_policy, record=record)
        self.source = TickSource(policy.period)
        main_input = TICK if policy.is_source else EXTERNAL_INPUT
        self.routes = Routes(name, policy.inputs[0] if policy.inputs else main_input)
        self.repeated = RepeatedItems(policy.queue_size)
        self.is_open = True  # whether items from outside are accepted, and the source is asked
        self._runs = runs
        self._record = record

    def _record_source(self) -> None:
        if self._record is not None:
            self._record('source', (self.source.snapshot(),))

    def _record_run(self) -> None:
        if self._record is not None:
            self._record('run', (self._runs.number,))

    def _note_route(self, stage: str, route: str) -> None:
        if route not in self.routes.known(stage):
            self.routes.add(stage, route)
            if self._record is not None:
                self._record('route', (stage, route))

    def _identity(self, source: str, stamp: int, now: float) -> ItemKey:
        """Return the identity of an item that arrives."""
        key = ItemKey(source, stamp, self._runs.of(stamp, now))
        # What the run before has had already is not what is left of it.
        is_repeated = key.run < self._runs.number and self.ledger.knows(key)
        return ItemKey(source, stamp, self._runs.number) if is_repeated else key

    def _was_forwarded(self, source: str, stamp: int, now: float) -> bool:
        """Return whether a stage of this pipeline has handed over an item with this stamp."""
        routes = self.routes.known(source)
        # Asked for every item that arrives; most come by topics that are no stage's.
        return bool(routes) and any(
            self.ledger.knows(ItemKey(route, stamp, run))
            for route in routes
            for run in self._runs.recent(now)
        )

    def is_repeated(self, source: str, stamp: int, now: float) -> bool:
        """Return whether an item that arrives is certainly a repeated one; if so, it is counted.

        Nothing changes that a later manager has to know. So this is no event, and a flood of such
        items costs little. Of other items ``item_received`` decides.
        """
        if stamp > self.repeated.newest or not self.is_open or self._runs.may_restart:
            return False
        if self.routes.known(source) or not self.ledger.knows(self._identity(source, stamp, now)):
            return False
        self.ledger.counters.duplicates += 1
        self.repeated.refused(now)
        return True

    def snapshot(self, *, payloads: bool) -> dict[str, Any]:
        """Return what a later manager has to know, as plain values."""
        return {
            'ledger': self.ledger.snapshot(payloads=payloads),
            'source': self.source.snapshot(),
            'routes': self.routes.snapshot(),
            'run': self._runs.number,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what ``snapshot`` returned."""
        self.ledger.restore(state['ledger'])
        self.source.restore(state['source'])
        self._runs.restore(state['run'])
        for stage, route in state['routes']:
            self.routes.add(stage, route)

    def replay(self, name: str, arguments: tuple[Any, ...]) -> None:
        """Repeat a recorded change."""
        if name == 'source':
            self.source.restore(arguments[0])
        elif name == 'route':
            self.routes.add(*arguments)
        elif name == 'run':
            self._runs.restore(*arguments)
        else:
            self.ledger.replay(name, arguments)
