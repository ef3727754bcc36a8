# SPDX-License-Identifier: Apache-2.0
"""First starts of several stages under random histories, with the supervision of real slots.

Workers become ready at once or late, hang in their start-up, and die at any time; stages are
stopped and started. The world counts by itself how many are starting.
"""

from __future__ import annotations

import random
from functools import partial

import pytest

from worker_pipeline.core.admission import SlotAdmission, StageLimits
from worker_pipeline.core.first_starts import PATIENCE, FirstStarts
from worker_pipeline.core.restart_policy import RestartPolicy
from worker_pipeline.core.supervision import Supervision
from worker_pipeline.core.supervision_table import (
    Action,
    DesiredState,
    KillProcess,
    Phase,
    ProcessExited,
    ProcessStarted,
    RequestTransition,
    StartProcess,
    StateReported,
    TerminateProcess,
    Timing,
    WorkerConnected,
)

TIMING = Timing(startup_timeout=8.0, heartbeat_timeout=1e9, status_grace=1e9)
TICK = 0.1
SHUTDOWN = RequestTransition('shutdown')


class World:
    """A pipeline whose workers are fakes."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.now = 100.0
        self.limit = self.chance.randint(1, 5)
        stages = [f's{number}' for number in range(self.chance.randint(1, 4))]
        self.first = FirstStarts(self.limit, stages)
        self.slots: dict[tuple[str, str], Supervision] = {}
        self.ranks: dict[tuple[str, str], tuple[bool, int, int]] = {}
        self.ready_at: dict[tuple[str, str], float] = {}
        self.started_at: dict[tuple[str, str], float] = {}  # of those that are not ready
        self.had_one: set[tuple[str, str]] = set()
        self.failed: set[tuple[str, str]] = set()  # a process of theirs has died at its start
        self.pid = 1
        self.has_trouble = True
        for position, stage in enumerate(stages):
            self._add_stage(stage, position)

    def _add_stage(self, stage: str, position: int) -> None:
        workers, standbys = self.chance.randint(1, 3), self.chance.randint(0, 1)
        of_stage: dict[str, Supervision] = {}
        limits = StageLimits(workers)
        for number in range(workers + standbys):
            name = f'worker_{number}'
            admission = SlotAdmission(
                name, of_stage, limits, partial(self.first.may_start, stage, name)
            )
            policy = RestartPolicy(
                backoff_max=0.5, limit=5, window=5.0, random_source=random.Random(number)
            )
            of_stage[name] = self.slots[stage, name] = Supervision(policy, TIMING, admission)
            self.first.add(stage, name, admission, is_standby=number >= workers)
            self.ranks[stage, name] = number >= workers, number, position

    @property
    def starting(self) -> int:
        """Return how many are starting, have not been for too long, and have not failed before."""
        return sum(
            self.now - each < PATIENCE and key not in self.failed
            for key, each in self.started_at.items()
        )

    def do(self, key: tuple[str, str], actions: list[Action]) -> None:
        slot = self.slots[key]
        for action in actions:
            if isinstance(action, StartProcess):
                if key not in self.had_one:
                    assert self.starting < self.limit, f'{self.starting} were starting at once'
                self.had_one.add(key)
                self.started_at[key] = self.now
                delay = self.chance.choice((0.1, 0.5, 2.0, 60.0 if self.has_trouble else 0.2))
                self.ready_at[key] = self.now + delay
                self.pid += 1
                self.do(key, slot.handle(ProcessStarted(self.pid), self.now))
            elif isinstance(action, (KillProcess, TerminateProcess)) or action == SHUTDOWN:
                self.exit(key)

    def exit(self, key: tuple[str, str]) -> None:
        slot = self.slots[key]
        if slot.pid is not None:
            if self.started_at.pop(key, None) is not None:
                self.failed.add(key)
            self.ready_at.pop(key, None)
            self.do(key, slot.handle(ProcessExited(slot.pid, 'killed'), self.now))

    def step(self) -> None:
        """Let a tick pass, in which the slots are asked in any order."""
        self.now += TICK
        before = set(self.had_one)
        due = [
            key
            for key, slot in self.slots.items()
            if slot.phase is Phase.BACKOFF and slot._due_at <= self.now
        ]
        for key in self.chance.sample(list(self.slots), len(self.slots)):
            self.do(key, self.slots[key].tick(self.now))
        for key in due:
            assert self.slots[key].phase is not Phase.BACKOFF, f'{key} was held up'
        self._check_order(self.had_one - before)
        self._live()

    def _check_order(self, started: set[tuple[str, str]]) -> None:
        waiting = [
            self.ranks[key]
            for key, slot in self.slots.items()
            if key not in self.had_one and slot.desired is not DesiredState.GONE
        ]
        if started and waiting:
            assert max(self.ranks[key] for key in started) < min(waiting), 'out of order'

    def _live(self) -> None:
        for key, slot in self.slots.items():
            if self.ready_at.get(key, self.now + 1) <= self.now and slot.phase is Phase.STARTING:
                self.do(key, slot.handle(WorkerConnected(slot.pid or 0), self.now))
                self.do(key, slot.handle(StateReported(slot.pid or 0, 'inactive'), self.now))
                self.started_at.pop(key, None)
            elif self.has_trouble and self.chance.random() < 0.01:
                self.exit(key)

    def set_desired(self, stage: str, desired: DesiredState) -> None:
        for key, slot in self.slots.items():
            if key[0] == stage:
                if desired is DesiredState.GONE:
                    self.started_at.pop(key, None)  # it is stopping
                self.do(key, slot.set_desired(desired, self.now))


@pytest.mark.property
@pytest.mark.parametrize('seed', range(40))
def test_the_limit_holds_replacements_wait_for_nobody_and_all_start_in_the_end(seed):
    world = World(seed)
    stages = sorted({stage for stage, _ in world.slots})
    for stage in stages:
        world.set_desired(stage, DesiredState.INACTIVE)
    for _ in range(300):
        if world.chance.random() < 0.02:
            states = (DesiredState.GONE, DesiredState.INACTIVE)
            world.set_desired(world.chance.choice(stages), world.chance.choice(states))
        world.step()
    world.has_trouble = False
    for stage in stages:
        world.set_desired(stage, DesiredState.INACTIVE)
    longest = TIMING.startup_timeout + PATIENCE * len(world.slots) / world.limit + 10.0
    for _ in range(round(longest / TICK)):
        world.step()
    assert {key for key, slot in world.slots.items() if not slot.converged} == set()
    assert world.had_one == set(world.slots)
