# SPDX-License-Identifier: Apache-2.0
"""Replaces the workers of a stage one after the other, and reports whether a change holds."""

from __future__ import annotations

import re
from typing import Any, Protocol

from worker_pipeline.config import PluginDescription
from worker_pipeline.core.reported_state import reported_state
from worker_pipeline.core.rolling_update import (
    AddSurge,
    HandOver,
    RemoveSurge,
    Replace,
    SlotView,
    next_step,
)
from worker_pipeline.core.rollout import FAILED_STARTS, Rollout
from worker_pipeline.core.roster import Roster
from worker_pipeline.core.supervision_table import DesiredState, Phase
from worker_pipeline.manager.slot import Slot
from worker_pipeline.manager.worker_specs import WorkerSpecs

# How long to wait after an additional worker could not be started, s.
SURGE_RETRY = 30.0
# After how long a change that waits is reported, s.
OVERDUE = 5.0
# How an error reads where a device, a port or a file is in use.
IN_USE = re.compile(r'in use|busy|unavailable|locked|already|exclusive', re.IGNORECASE)
EXCLUSIVE_HINT = (
    '; if configure() opens what only one process may hold, set exclusive = True in the class'
)


class UpdatedWorkers(Protocol):
    """The workers of a stage, as far as an update is concerned."""

    slots: dict[str, Slot]
    roster: Roster
    specs: WorkerSpecs

    @property
    def drain_timeout(self) -> float:
        """Return how long a worker may take to finish its items, s."""

    def add(self, name: str) -> Slot:
        """Make a slot, without a worker yet."""

    def drain(self, slot: Slot, now: float) -> None:
        """Have a slot's worker finish its items and exit, for good."""

    def promote_standby(self, slot: Slot) -> None:
        """Have a standby that is ready take over from a slot."""

    def updated(self) -> None:
        """Every worker has the present configuration."""

    def log(self, text: str) -> None:
        """Log a step of an update."""

    def log_error(self, text: str) -> None:
        """Log why a change is not in effect."""


class RollingUpdate:
    """Replaces workers that are due: for their configuration, size, age, or number of items.

    Args:
        workers: the stage's.
        plugin: the description of its class.
    """

    def __init__(self, workers: UpdatedWorkers, plugin: PluginDescription) -> None:
        self.rollout = Rollout(workers.specs.settings)
        # Settings that were given up, for the manager's parameters to be set back.
        self.reverted: dict[str, Any] = {}
        self._workers = workers
        # The state of a stage that remembers belongs to the slot, so no other slot can continue it.
        self._has_surge = not plugin.remembers and not plugin.exclusive
        # One more than is asked for, during a rolling update.
        self._surge: Slot | None = None
        self._not_before = float('-inf')
        self._surge_failure = ''

    def keep_surge(self, names: list[str]) -> list[str]:
        """Return the additional slot's name, if there is one; ``names`` are asked for anyway."""
        if self._surge is not None and self._surge.name in names:
            self._surge = None
        return [] if self._surge is None else [self._surge.name]

    def advance(self, now: float) -> None:
        """Do what is next. ``now``: s."""
        self._give_up_if_hopeless(now)
        slots = list(self._workers.slots.values())
        going = any(each.draining for each in slots)
        step = next_step(
            [self._view(each, is_settled=not going) for each in slots if not each.draining],
            has_surge=self._has_surge,
            may_surge=now >= self._not_before,
        )
        if isinstance(step, AddSurge):
            self._add_surge(now)
        elif isinstance(step, HandOver):
            self._workers.promote_standby(self._workers.slots[step.name])
        elif isinstance(step, Replace):
            self._replace(self._workers.slots[step.name], now, interrupts=step.interrupts)
        elif isinstance(step, RemoveSurge):
            self._remove_surge(now)
        if step is None and all(each.supervision.converged for each in slots):
            self._note_completion(slots)

    def _note_completion(self, slots: list[Slot]) -> None:
        if any(each.has_stale_config for each in slots):
            return
        self._workers.updated()
        if self.rollout.is_under_way:
            self._workers.log(f'{self.rollout.changes} is in effect')
            self.rollout.completed()

    def _view(self, slot: Slot, *, is_settled: bool) -> SlotView:
        return SlotView(
            slot.name,
            # In a pause nobody is.
            is_active=self._workers.roster.is_active(slot.name)
            and slot.supervision.desired is DesiredState.ACTIVE,
            is_settled=is_settled and slot.supervision.converged,
            is_due=self._is_due(slot),
            is_surge=slot is self._surge,
        )

    def _add_surge(self, now: float) -> None:
        workers = self._workers
        self._surge = workers.add(f'worker_{len(workers.slots)}')
        workers.roster.add(self._surge.name)
        self._surge.set_desired(DesiredState.INACTIVE, now)

    def _remove_surge(self, now: float) -> None:
        slot, self._surge = self._surge, None
        if slot is not None:
            self._workers.roster.remove(slot.name)
            self._workers.drain(slot, now)

    def _replace(self, slot: Slot, now: float, *, interrupts: bool) -> None:
        why = ' for its new configuration' if slot.has_stale_config else f', as {slot.due}'
        until = '; no worker is active meanwhile' if interrupts else ''
        self._workers.log(f'{slot.name}: replacing it{why}{until}')
        self._surge_failure = ''
        slot.replace_gracefully(now, self._workers.drain_timeout)

    def replace_at_once(self, slot: Slot, now: float) -> None:
        """Replace a worker that cannot wait until another one is ready; it finishes its items.

        Args:
            slot: its slot.
            now: s.
        """
        self._replace(slot, now, interrupts=False)
        self._workers.promote_standby(slot)

    # -- failures --------------------------------------------------------------------------------

    def _give_up_if_hopeless(self, now: float) -> None:
        """Give a change up, or an additional worker, if a worker cannot start."""
        for slot in self._workers.slots.values():
            if slot.supervision.failed_starts < FAILED_STARTS or slot.has_stale_config:
                continue
            reason = slot.last_error or slot.supervision.last_exit
            if slot is self._surge and IN_USE.search(reason) and 'exclusive' not in reason:
                reason += EXCLUSIVE_HINT
            if self.rollout.is_under_way:
                self.reverted = self.rollout.fail(slot.name, reason)
                self._workers.log_error(self.rollout.failure)
                slot.supervision.forgive(now)
            elif slot is self._surge:
                self._not_before = now + SURGE_RETRY
                self._surge_failure = f'{slot.name}, to take over, failed: {reason}'
                self._workers.log_error(f'no worker is replaced: {self._surge_failure}')
                self._remove_surge(now)
            else:
                continue
            return

    def warning(self, now: float) -> str:
        """Return what has been waiting for too long, '' if nothing. ``now``: s."""
        if self._surge_failure and any(self._is_due(each) for each in self._workers.slots.values()):
            return f'workers are not replaced: {self._surge_failure}'
        if not self.rollout.is_under_way or now - self.rollout.since < OVERDUE:
            return ''
        late = [
            f'{each.name} is {"cordoned" if each.supervision.phase is Phase.CORDONED else state}'
            for each in self._workers.slots.values()
            for state in [reported_state(each.supervision, now)]
            if not each.supervision.converged
        ]
        if late:
            return f'{self.rollout.changes} is not in effect yet; {", ".join(late)}'
        return f'{self.rollout.changes} is not in effect yet'

    @staticmethod
    def _is_due(slot: Slot) -> bool:
        return slot.has_stale_config or bool(slot.due)
