# SPDX-License-Identifier: Apache-2.0
"""The slots of one stage under random histories: how many processes there are, and how many active.

Processes start, crash, hang, are stopped, adopted, replaced, deactivated manually, and die a while
after they were killed. The world counts them itself, at each start and each activation.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from worker_pipeline.core.admission import SlotAdmission, StageLimits
from worker_pipeline.core.restart_policy import RestartPolicy
from worker_pipeline.core.roster import Roster
from worker_pipeline.core.supervision import Supervision
from worker_pipeline.core.supervision_table import (
    Action,
    DesiredState,
    HeartbeatSeen,
    KillProcess,
    LimitExceeded,
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

TIMING = Timing(startup_timeout=3.0)
TICK = 0.05
NEXT = {
    ('unconfigured', 'configure'): 'configuring',
    ('inactive', 'activate'): 'activating',
    ('active', 'deactivate'): 'deactivating',
}
ENDS = {'configuring': 'inactive', 'activating': 'active', 'deactivating': 'inactive'}
BUSY = ('activating', 'active', 'deactivating')


class Process:
    """A worker's process: it reports what it does, and obeys requests in their order."""

    def __init__(self, slot: str, pid: int, target: str) -> None:
        self.slot, self.pid, self.target = slot, pid, target
        self.alive = True
        self.killed_at: float | None = None
        self.stopped = self.hung = self.connected = self.by_operator = False
        self.state = 'unconfigured'
        self.requests: list[str] = []


class World:
    """A stage of several slots."""

    def __init__(self, seed: int, names: int, max_active: int, *, exclusive: bool) -> None:
        self.chance = random.Random(seed)
        self.now = 100.0
        self.limits = StageLimits(max_active, exclusive=exclusive)
        self.slots: dict[str, Supervision] = {}
        self.roster = Roster(max_active)
        self.processes: list[Process] = []
        self.seen: set[str] = set()
        for index in range(names):
            name = f'worker_{index}'
            policy = RestartPolicy(
                backoff_max=0.5, limit=5, window=5.0, random_source=random.Random(seed)
            )
            self.slots[name] = Supervision(
                policy, TIMING, SlotAdmission(name, self.slots, self.limits)
            )
            self.roster.add(name)

    # -- what is checked -------------------------------------------------------------------------

    def check_start(self, slot: str) -> None:
        alive = [each for each in self.processes if each.alive]
        assert not any(each.slot == slot for each in alive), 'two in one slot'
        if self.limits.exclusive:
            assert not alive, 'a worker starts beside another one of an exclusive stage'

    def check_activation(self, process: Process) -> None:
        busy = [
            each
            for each in self.processes
            if each.alive and each is not process and each.state in BUSY and not each.by_operator
        ]
        assert len(busy) < self.limits.max_active, 'activated while too many others are active'

    # -- actions ---------------------------------------------------------------------------------

    def obey(self, name: str, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, StartProcess):
                self.check_start(name)
                process = Process(name, 1 + len(self.processes), action.target)
                self.processes.append(process)
                self.obey(name, self.slots[name].handle(ProcessStarted(process.pid), self.now))
            elif isinstance(action, RequestTransition):
                self.current(name).requests.append(action.label)
            elif isinstance(action, KillProcess):
                process = self.current(name)
                process.killed_at = process.killed_at or self.now
            elif isinstance(action, TerminateProcess):
                self.current(name).killed_at = self.now

    def current(self, name: str) -> Any:
        pid = self.slots[name].pid
        return next((each for each in self.processes if each.pid == pid), None)

    def desired(self, name: str) -> DesiredState:
        return DesiredState.ACTIVE if self.roster.is_active(name) else DesiredState.INACTIVE

    # -- events ----------------------------------------------------------------------------------

    def live(self, process: Process) -> None:
        """Let a process do its next step, and report."""
        if not process.alive or process.stopped or process.killed_at is not None:
            return
        if process.state in ENDS and process.hung:
            pass  # a hook hangs; its executor still reports
        elif process.state in ENDS:
            process.state = ENDS[process.state]
            process.by_operator = process.by_operator and process.state == 'active'
        elif process.requests:
            label = process.requests.pop(0)
            if label == 'shutdown':
                process.alive = False
                return
            self.go(process, NEXT.get((process.state, label), process.state))
        elif process.target and process.state != process.target:
            step = {'unconfigured': 'configure', 'inactive': 'activate'}.get(process.state, '')
            self.go(process, NEXT.get((process.state, step), process.state))
        if process.state == process.target:
            process.target = ''
        self.report(process)

    def go(self, process: Process, state: str) -> None:
        if state == 'activating' and process.state != 'activating':
            if not process.by_operator:
                self.check_activation(process)
            self.seen.add('activated')
        process.state = state

    def report(self, process: Process) -> None:
        slot = self.slots[process.slot]
        if not process.connected:
            process.connected = True
            self.obey(process.slot, slot.handle(WorkerConnected(process.pid), self.now))
        self.obey(process.slot, slot.handle(StateReported(process.pid, process.state), self.now))
        for name, each in self.slots.items():
            self.obey(name, each.reconcile(self.now))

    def reap(self) -> None:
        """Report exits: of those that died, and of those that were killed a while ago."""
        for process in self.processes:
            if process.killed_at is not None and self.now - process.killed_at > 0.3:
                process.alive = False
            slot = self.slots[process.slot]
            if not process.alive and slot.pid == process.pid:
                slot.activity.exited()
                self.promote(process.slot)
                self.obey(process.slot, slot.handle(ProcessExited(process.pid, 'died'), self.now))

    def promote(self, name: str) -> None:
        """Let a ready standby take over."""
        if self.slots[name].desired is not DesiredState.ACTIVE:
            return
        ready = [
            other
            for other, slot in self.slots.items()
            if slot.phase is Phase.READY and slot.desired is DesiredState.INACTIVE
        ]
        promoted = self.roster.promote(name, ready)
        if promoted is not None:
            self.seen.add('promoted')
            self.obey(name, self.slots[name].set_desired(DesiredState.INACTIVE, self.now))
            self.obey(promoted, self.slots[promoted].set_desired(DesiredState.ACTIVE, self.now))

    def step(self) -> None:
        """Let a short time pass, and something happen."""
        self.now += TICK
        for process in list(self.processes):
            if process.alive and not process.stopped:
                beat = HeartbeatSeen(process.pid)
                self.obey(process.slot, self.slots[process.slot].handle(beat, self.now))
            self.live(process)
        self.reap()
        for name, slot in self.slots.items():
            self.obey(name, slot.tick(self.now))
        if self.chance.random() < 0.25:
            self.happen()

    def happen(self) -> None:
        name = self.chance.choice([*self.slots])
        slot, process = self.slots[name], self.current(name)
        kind = self.chance.choice(
            [
                *('crash', 'stop', 'hang', 'limit', 'replace', 'hand over', 'cordon', 'uncordon'),
                *('pause', 'go', 'want', 'want', 'want', 'nothing'),
            ]
        )
        self.seen.add(kind)
        if kind == 'replace':
            self.obey(name, slot.replace_gracefully(self.now, 1.0))
        elif kind == 'hand over':
            self.promote(name)
        elif kind == 'pause':
            self.obey(name, slot.set_desired(DesiredState.INACTIVE, self.now))
        elif kind == 'go':
            self.obey(name, slot.set_desired(DesiredState.GONE, self.now, grace=0.5))
        elif kind == 'want':
            for each, other in self.slots.items():
                self.obey(each, other.set_desired(self.desired(each), self.now))
        elif process is None or not process.alive:
            return
        elif kind == 'crash':
            process.alive = False
        elif kind == 'stop':
            process.stopped = True
        elif kind == 'hang':
            process.hung = True
        elif kind == 'limit':
            self.obey(name, slot.handle(LimitExceeded(process.pid, 'too long'), self.now))
        elif kind == 'cordon' and process.state == 'active' and not process.requests:
            process.state = 'inactive'
            self.report(process)
        elif kind == 'uncordon' and slot.phase is Phase.CORDONED:
            self.uncordon(process)

    def uncordon(self, process: Process) -> None:
        """Activate a worker manually; the operator has to look whether others are active."""
        if not process.requests:
            process.by_operator = True
            process.requests.append('activate')

    def adopt(self) -> None:
        """Let a new manager find what an earlier one has left: in each slot a process, or none."""
        busy = 0
        for name, slot in self.slots.items():
            if self.chance.random() < 0.5:
                continue
            process = Process(name, 1 + len(self.processes), '')
            process.state = self.chance.choice(['inactive', *BUSY])
            if process.state in BUSY:
                busy += 1
                if busy > self.limits.max_active:
                    process.state = 'inactive'
            self.processes.append(process)
            self.obey(name, slot.adopt(process.pid, self.desired(name), self.now))
            self.seen.add('adopted')
            if self.limits.exclusive:
                return  # there was only one

    def settle(self) -> None:
        """From now on everything works: all slots reach their desired states."""
        self.chance = random.Random(0)
        for process in self.processes:
            process.hung = process.stopped = False
        for _ in range(400):
            for name, slot in self.slots.items():
                if slot.phase is Phase.CORDONED:
                    self.uncordon(self.current(name))
            for name, slot in self.slots.items():
                if slot.desired is not self.desired(name):
                    self.obey(name, slot.set_desired(self.desired(name), self.now))
            self.now += TICK
            for process in list(self.processes):
                self.live(process)
            self.reap()
            for name, slot in self.slots.items():
                self.obey(name, slot.tick(self.now))


def history(seed: int, *, exclusive: bool) -> World:
    chance = random.Random(seed)
    max_active = 1 if exclusive else chance.randint(1, 3)
    # More slots than an exclusive stage is given: those that go away, and those that come.
    world = World(seed, max_active + chance.randint(0, 2), max_active, exclusive=exclusive)
    if chance.random() < 0.5:
        world.adopt()
    for name in world.slots:
        world.obey(name, world.slots[name].set_desired(world.desired(name), world.now))
    for _ in range(300):
        world.step()
    return world


@pytest.mark.property
@pytest.mark.parametrize('first', range(0, 200, 50))
@pytest.mark.parametrize('exclusive', [True, False], ids=['exclusive', 'shared'])
def test_never_too_many_workers_at_one_time(exclusive: bool, first: int):
    """One process of an exclusive stage; and of any no more active than it is to have."""
    seen: set[str] = set()
    for seed in range(first, first + 50):
        world = history(seed, exclusive=exclusive)
        seen |= world.seen
        if not exclusive:
            world.settle()
            assert all(each.converged for each in world.slots.values())
    assert seen >= {'activated', 'adopted', 'replace', 'crash', 'stop', 'hang', 'cordon', 'pause'}
    assert exclusive or 'promoted' in seen
