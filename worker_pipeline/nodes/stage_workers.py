"""The workers of a stage: its slots, whoever fills them, and the pool of those at work."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol

import attrs

from worker_pipeline.config import PluginDescription, StageConfig
from worker_pipeline.core.restart_policy import RestartPolicy
from worker_pipeline.core.roster import Roster
from worker_pipeline.core.supervision import Goal, Phase, Supervision, Timing
from worker_pipeline.nodes.lifecycle import ManagedNode, until
from worker_pipeline.nodes.slot import Slot, SlotListener
from worker_pipeline.nodes.surroundings import Surroundings
from worker_pipeline.nodes.worker_contract import WorkerSpec, fit_of
from worker_pipeline.nodes.worker_link import LinkListener, WorkerLink
from worker_pipeline.parameter import check_parameters
from worker_pipeline.pool import RefreshingWorkerPool
from worker_pipeline.runtime import message_types
from worker_pipeline.runtime.inheritance import Legacy
from worker_pipeline.runtime.vital_signs import VitalSigns

MEMORY_PERIOD = 0.25  # s


class Listener(SlotListener, LinkListener, Protocol):
    """The stage."""


class StageWorkers:
    """The slots of one stage, on its node."""

    def __init__(
        self,
        node: ManagedNode,
        config: StageConfig,
        plugin: PluginDescription,
        around: Surroundings,
        listener: Listener,
    ) -> None:
        self.slots: dict[str, Slot] = {}
        # One that remembers takes its items one at a time: with others prefetched, an item that
        # failed would be applied after them.
        self.concurrency = 1 if plugin.remembers else config.concurrency
        self.pool: RefreshingWorkerPool[Slot] = RefreshingWorkerPool(self.concurrency)
        self._node = node
        self._config = config
        self._plugin = plugin
        self._around = around
        self._listener = listener
        self._memory_looked_at = 0.0
        # One more than is asked for, while others are replaced.
        self._understudy: Slot | None = None
        # What all of them should be; None while there are to be none.
        self._goal: Goal | None = None
        self.roster = Roster(config.workers)

    # -- making them -----------------------------------------------------------------------------

    def open(self, legacy: Legacy | None) -> None:
        """Make the slots, and go on with those who live already."""
        for name in self._names():
            self.roster.enlist(self._add(name).name)
        if legacy is not None and legacy.living:
            self._adopt(legacy)

    def _names(self) -> list[str]:
        """Those of the slots that are asked for."""
        return [f'worker_{index}' for index in range(self._config.workers + self._config.standby)]

    def _add(self, name: str) -> Slot:
        pipeline = self._around.pipeline
        policy = RestartPolicy(
            backoff_max=pipeline.restart_backoff_max,
            limit=pipeline.restart_limit,
            window=pipeline.restart_window,
        )
        timing = Timing(
            heartbeat_timeout=pipeline.heartbeat_timeout,
            startup_timeout=self._config.startup_timeout,
        )
        link = WorkerLink(
            self._node,
            self._config.name,
            name,
            message_types.class_of(self._plugin.input_type),
            message_types.class_of(self._plugin.output_type),
            self.concurrency,
            self._around.lines,
            self._around.frames,
            self._listener,
        )
        slot = self.slots[name] = Slot(
            name,
            Supervision(policy, timing),
            link,
            self._around.launcher,
            self._around.spares,
            partial(self._give_birth, name),
            self._listener,
            self._node.get_logger(),
        )
        return slot

    def _adopt(self, legacy: Legacy) -> None:
        now = time.monotonic()
        for name, page in legacy.living.items():
            stays = name in self.slots
            slot = self.slots[name] if stays else self._add(name)
            slot.outdated = page.read().fit != fit_of(self._spec(name))
            slot.adopt(page, self._goal_of(slot, Goal.ACTIVE), now)
            if not stays:
                self._let_go(slot, now)  # there are fewer now
        names = ', '.join(sorted(legacy.living))
        self._node.get_logger().info(f'found {names} of an earlier manager, and goes on with them')

    def _give_birth(self, slot: str, target: str) -> tuple[WorkerSpec, VitalSigns]:
        """What a worker that is about to be started is told, and the page that it shows itself on.

        Raises OSError where there is no room for the page.
        """
        participation = self._around.next_participation()
        spec = attrs.evolve(self._spec(slot), target=target, participation=participation)
        page = self._around.folder.new_page(self._config.name, slot, fit_of(spec))
        return attrs.evolve(spec, page=str(page.path)), page

    def _spec(self, slot: str) -> WorkerSpec:
        config, plugin, around = self._config, self._plugin, self._around
        return WorkerSpec(
            namespace=around.namespace,
            stage=config.name,
            slot=slot,
            plugin=config.plugin,
            # All of them, so that one that is given as what it would be anyway changes nothing.
            params=check_parameters(plugin.parameters, config.params),
            contexts={
                # Only a stage of this pipeline is known to keep its last messages.
                name: (source, False)
                if source.startswith('/')
                else (f'{around.namespace}/{source}/output', True)
                for name, source in config.context.items()
                if name in plugin.contexts
            },
            concurrency=self.concurrency,
            target='',
            heartbeat_period=around.pipeline.heartbeat_period,
            orphan_timeout=around.pipeline.orphan_timeout,
            manager_pid=around.manager_pid,
            participation=around.participation,
            line=str(around.folder.line),
            state=str(self.state_of(slot)) if plugin.remembers else '',
            lock=str(around.folder.lock_file),
            frames=str(around.folder.frames),
            frame_memory=around.frames.limit,
            keep_held=not around.outbox.journal.payloads,
        )

    def state_of(self, slot: str) -> Path:
        """Where a stage that remembers has a slot's state."""
        return self._around.folder.states / f'{self._config.name}.{slot}'

    # -- what they should be ---------------------------------------------------------------------

    @property
    def time_to_finish(self) -> float:
        """How long a worker may take over what it holds, s."""
        return self._config.task_timeout * self.concurrency + 2.0

    def set_goals(self, goal: Goal) -> None:
        """Say what all of them should be; ACTIVE: those on duty."""
        self._goal = goal
        now = time.monotonic()
        for slot in self.slots.values():
            # One that was found at work stays there: whoever starts a manager wants it so.
            if not slot.leaving and not slot.inherited:
                slot.set_goal(self._goal_of(slot, goal), now)

    def _goal_of(self, slot: Slot, goal: Goal) -> Goal:
        stands_by = not self.roster.is_on_duty(slot.name)
        return Goal.INACTIVE if goal is Goal.ACTIVE and stands_by else goal

    def relieve(self, slot: Slot) -> None:
        """A slot is out of action: have one that stands by, if one is ready, take its place."""
        if slot.supervision.goal is not Goal.ACTIVE or slot.leaving:
            return  # nobody is missed
        ready = [name for name, each in self.slots.items() if each.stands_by]
        relief = self.roster.relieve(slot.name, ready)
        if relief is not None:
            now = time.monotonic()
            self.slots[relief].set_goal(Goal.ACTIVE, now)
            slot.set_goal(Goal.INACTIVE, now)
            self._node.get_logger().info(f'{relief} takes over from {slot.name}')

    async def settled(self, timeout: float) -> None:
        """Wait until every worker is as it should be. One that cannot be is told, and tried on."""

        def settled() -> bool:
            return self._around.interrupted() or all(
                slot.supervision.at_goal or slot.supervision.phase is Phase.CORDONED
                for slot in self.slots.values()
            )

        if not await until(settled, timeout):
            late = [name for name, slot in self.slots.items() if not slot.supervision.at_goal]
            self._node.get_logger().warning(
                f'{", ".join(late)}: not ready after {timeout:g} s; going on'
            )

    async def stop(self, grace: float) -> bool:
        """Stop every worker through its lifecycle, then by signals; whether all are gone."""
        self._goal = None
        now = time.monotonic()
        for slot in self.slots.values():
            slot.set_goal(Goal.GONE, now, grace)
        return await until(self._all_gone, grace + 2.0)

    def _all_gone(self) -> bool:
        return all(slot.supervision.phase is Phase.EMPTY for slot in self.slots.values())

    def close(self) -> None:
        """Take the slots away, of which no worker is left, and what they remember."""
        for slot in self.slots.values():
            slot.link.destroy()
        self.slots.clear()
        self.roster = Roster(self._config.workers)
        for state in self._around.folder.states.glob(f'{self._config.name}.*'):
            state.unlink(missing_ok=True)

    # -- while they work -------------------------------------------------------------------------

    def reconfigure(self, config: StageConfig) -> None:
        """Have other workers, or more of them, or fewer: nobody is lost, nothing is given twice."""
        self._config = config
        if not self._plugin.remembers:
            self.concurrency = config.concurrency
        # More only when every worker knows, as it is to remember so many answers.
        self.pool.resize(min(self.concurrency, self.pool.get_worker_concurrency()))
        for name, slot in self.slots.items():
            if slot.signs is not None and not slot.leaving:
                slot.outdated = slot.signs.read().fit != fit_of(self._spec(name))
        self._reconcile(time.monotonic())

    def _reconcile(self, now: float) -> None:
        """Have the slots that are asked for; those that are not finish what they hold."""
        if self._goal is None:
            return
        names = self._names()
        if self._understudy is not None and self._understudy.name in names:
            self._understudy = None
        kept = {*names, *([self._understudy.name] if self._understudy is not None else [])}
        self.roster.places = self._config.workers
        for slot in [each for each in self.slots.values() if each.name not in kept]:
            if not slot.leaving:
                self.roster.strike_off(slot.name)
                self._let_go(slot, now)
        # Those that stand by come on duty first.
        on, off = self.roster.balance()
        fresh = [name for name in names if name not in self.slots]
        for name in fresh:
            self.roster.enlist(self._add(name).name)
        for name in dict.fromkeys((*fresh, *on, *off)):
            slot = self.slots[name]
            slot.set_goal(self._goal_of(slot, self._goal), now)

    def _let_go(self, slot: Slot, now: float) -> None:
        slot.leaving = True
        slot.set_goal(Goal.GONE, now, self.time_to_finish)

    # -- time ------------------------------------------------------------------------------------

    def tick(self, now: float, holds: Callable[[str], int]) -> None:
        """Let time pass: supervise every slot. ``holds``: how many items a worker holds."""
        limit = self._config.memory_limit
        looks_at_memory = limit > 0 and now - self._memory_looked_at > MEMORY_PERIOD
        for slot in list(self.slots.values()):
            slot.tick(now, holds(slot.name), self._config.task_timeout)
            slot.link.work.look_round()
            if slot.supervision.phase in (Phase.ENDING, Phase.BACKOFF):
                self.relieve(slot)
            if looks_at_memory:
                slot.limit_memory(limit, now)
                self._memory_looked_at = now
            if slot.leaving and slot.supervision.phase is Phase.EMPTY:
                slot.link.destroy()
                del self.slots[slot.name]
        self._reconcile(now)
        self._replace_the_outdated(now)

    def _replace_the_outdated(self, now: float) -> None:
        """One at a time, and only while all the others are at work."""
        if not all(slot.supervision.at_goal for slot in self.slots.values()):
            return
        outdated = [slot for slot in self.slots.values() if slot.outdated]
        if not outdated:
            self._dismiss_the_understudy(now)
            self.pool.resize(self.concurrency)
        elif len(self.slots) == self.roster.places and not self._plugin.remembers:
            # Nobody stands by. A fresh one is to be ready before the first of them goes.
            self._understudy = self._add(f'worker_{len(self.slots)}')
            self.roster.enlist(self._understudy.name)
            self._understudy.set_goal(Goal.INACTIVE, now)
        else:
            # Those that stand by first: they take over from those on duty.
            slot = min(outdated, key=lambda each: self.roster.is_on_duty(each.name))
            self._node.get_logger().info(f'{slot.name} has another configuration; it is replaced')
            slot.retire(now, self.time_to_finish)
            self.relieve(slot)

    def _dismiss_the_understudy(self, now: float) -> None:
        """It gives its place back, and finishes what it holds."""
        slot, self._understudy = self._understudy, None
        if slot is None:
            return
        relief = self.roster.relieve(slot.name, self.slots)
        if relief is not None and slot.supervision.goal is Goal.ACTIVE:
            self.slots[relief].set_goal(Goal.ACTIVE, now)
        self.roster.strike_off(slot.name)
        self._let_go(slot, now)

    def excuse(self, seconds: float) -> None:
        """For so long nobody could look; nobody is to blame for it."""
        for slot in self.slots.values():
            slot.excuse(seconds)
