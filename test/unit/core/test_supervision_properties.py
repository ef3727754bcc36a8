# SPDX-License-Identifier: Apache-2.0
"""The supervision of one slot under random histories; see ``support.supervision_world``."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from support.storm_seeds import storm_seeds
from support.supervised_process import BACKOFF_MAX, STATES, TICK, TIMING
from support.supervision_world import World

from worker_pipeline.core.supervision_table import (
    DesiredState,
    KillProcess,
    LeavePool,
    Phase,
)

HANGING = ['configuring', 'activating', 'deactivating']
NEWS = st.sampled_from(['exit', 'link', 'life', 'limit', 'failed start', 'finalized', *STATES])


class SupervisionHistories(RuleBasedStateMachine):
    """Random histories, which hypothesis can shrink."""

    world: World

    @initialize(
        limit=st.integers(0, 5),
        seed=st.integers(0, 1000),
        found=st.sampled_from([None, *STATES, 'finalized']),
        stopped=st.booleans(),
    )
    def begin(self, limit: int, seed: int, found: str | None, stopped: bool) -> None:
        self.world = World(limit, seed)
        if found:
            self.world.adopt(DesiredState.ACTIVE, found, stopped)
        else:
            self.world.want(DesiredState.ACTIVE)

    @rule(
        desired=st.sampled_from(
            [DesiredState.ACTIVE, DesiredState.ACTIVE, DesiredState.INACTIVE, DesiredState.GONE]
        )
    )
    def change_the_desired_state(self, desired: DesiredState) -> None:
        self.world.want(desired)

    @rule(seconds=st.sampled_from([0.0, TICK, TICK, TICK, 0.6, 1.1, 5.1]))
    def wait(self, seconds: float) -> None:
        self.world.wait(seconds)

    @precondition(lambda self: self.world.slot.phase is Phase.EMPTY)
    @rule(
        desired=st.sampled_from(DesiredState), state=st.sampled_from(STATES), stopped=st.booleans()
    )
    def adopt(self, desired: DesiredState, state: str, stopped: bool) -> None:
        self.world.adopt(desired, state, stopped)

    @precondition(lambda self: self.world.slot.phase is Phase.EMPTY)
    @rule(desired=st.sampled_from(DesiredState), state=st.sampled_from(STATES))
    def adopt_without_reports(self, desired: DesiredState, state: str) -> None:
        """Adopt a live process with reports that do not arrive."""
        self.world.adopt(desired, state, stopped=False)
        self.world.current.mute = True
        self.stay_alive(5.5, beats=False)

    @rule(grace=st.sampled_from([0.0, 1.0, 3.0]))
    def replace_gracefully(self, grace: float) -> None:
        self.world.replace_gracefully(grace)

    @rule()
    def refund_restart(self) -> None:
        self.world.refund_restart()

    @rule(seconds=st.sampled_from([0.1, 0.7, 3.0]))
    def hold_up(self, seconds: float) -> None:
        """Let time pass in which the manager can do nothing."""
        self.world.hold_up(seconds)

    @precondition(lambda self: self.world.pending is not None)
    @rule(ends=st.sampled_from(['succeeds', 'succeeds', 'succeeds', 'fails', 'is lost']))
    def start(self, ends: str) -> None:
        if ends == 'succeeds':
            self.world.start_succeeds()
        elif ends == 'fails':
            self.world.start_fails()
        else:
            self.world.start_is_lost()

    @precondition(
        lambda self: self.world.timed_out and self.world.slot.phase in (Phase.EMPTY, Phase.BACKOFF)
    )
    @rule()
    def start_late(self) -> None:
        self.world.start_is_late()

    @precondition(lambda self: self.world.current)
    @rule(steps=st.integers(0, 3), beats=st.booleans(), links=st.booleans(), lives=st.booleans())
    def live(self, steps: int, beats: bool, links: bool, lives: bool) -> None:
        for _ in range(steps):
            if self.world.current:
                self.world.current.step()
        if links:
            self.world.verify_link()
        if beats:
            self.world.report_state()
        if lives:
            self.world.show_life()

    @rule(seconds=st.sampled_from([1.0, 2.0, 5.5]), beats=st.booleans())
    def stay_alive(self, seconds: float, beats: bool) -> None:
        """Let time pass with nothing but heartbeats."""
        for _ in range(round(seconds / TICK)):
            self.world.show_life()
            if beats:
                self.world.report_state()
            self.world.wait(TICK)

    @precondition(lambda self: self.world.current)
    @rule()
    def come_up(self) -> None:
        """Let a process start promptly, as a healthy one does."""
        for _ in range(3):
            if self.world.current:
                self.world.current.step()
                self.world.report_state()
                self.world.verify_link()

    @precondition(lambda self: self.world.current)
    @rule(state=st.sampled_from([*STATES, 'errorprocessing', 'finalized']))
    def tamper(self, state: str) -> None:
        """Change the worker's lifecycle state manually, or by an error."""
        self.world.current.state = state
        self.world.current.hung = False
        self.world.report_state()

    @precondition(lambda self: self.world.current)
    @rule(state=st.sampled_from(HANGING), seconds=st.sampled_from([0.0, 5.5]))
    def hang(self, state: str, seconds: float) -> None:
        """Let a hook hang; heartbeats continue."""
        self.world.current.state = state
        self.world.current.hung = True
        self.world.report_state()
        self.stay_alive(seconds, beats=True)

    @precondition(lambda self: self.world.current)
    @rule()
    def fall_mute(self) -> None:
        """Let reports not arrive any more; heartbeats continue."""
        self.world.current.mute = True

    @precondition(lambda self: self.world.current)
    @rule()
    def crash(self) -> None:
        self.world.current.alive = False

    @precondition(lambda self: self.world.current)
    @rule()
    def stop(self) -> None:
        """Stop the process with SIGSTOP: it lives, but does nothing."""
        self.world.current.stopped = True

    @precondition(lambda self: self.world.current and not self.world.current.alive)
    @rule()
    def report_exit(self) -> None:
        self.world.report_exit()

    @rule()
    def exceed(self) -> None:
        self.world.exceed()

    @rule(which=st.integers(0, 10), kind=NEWS)
    def report_stale_event(self, which: int, kind: str) -> None:
        self.world.report_stale_event(which, kind)

    def teardown(self) -> None:
        """From now on everything works: the slot must reach its desired state."""
        if hasattr(self, 'world'):
            world = self.world
            for desired in (
                world.slot.desired,
                DesiredState.ACTIVE,
                DesiredState.INACTIVE,
                DesiredState.ACTIVE,
                DesiredState.GONE,
            ):
                world.want(desired)
                world.behave(2 * TIMING.startup_timeout + BACKOFF_MAX + 2.0)
                assert world.pooled == (desired is DesiredState.ACTIVE)
            assert world.slot.phase is Phase.EMPTY
            assert not any(each.alive for each in world.processes)
            assert world.pending is None


TestSupervisionHistories = SupervisionHistories.TestCase


def walk(seed: int, steps: int) -> World:
    """Run a random history of many steps, determined by its seed."""
    chance = random.Random(seed)
    machine = SupervisionHistories()
    machine.begin(chance.randrange(6), seed, chance.choice([None, *STATES]), chance.random() < 0.3)
    world = machine.world
    states = [*STATES, 'errorprocessing', 'finalized']
    anytime = {
        lambda: machine.wait(chance.choice([TICK, TICK, TICK, TICK, 0.6, 1.1])): 20,
        lambda: machine.stay_alive(chance.choice([1.0, 2.0, 5.5]), chance.random() < 0.8): 3,
        lambda: machine.change_the_desired_state(
            chance.choice([*DesiredState, DesiredState.ACTIVE])
        ): 2,
        machine.exceed: 1,
        machine.refund_restart: 1,
        lambda: machine.replace_gracefully(chance.choice([0.0, 1.0, 3.0])): 1,
        lambda: machine.hold_up(chance.choice([0.1, 0.7, 3.0])): 1,
        lambda: machine.report_stale_event(
            chance.randrange(10),
            chance.choice(['exit', 'link', 'life', 'limit', 'failed start', 'active']),
        ): 2,
    }
    with_a_process = {
        machine.come_up: 20,
        machine.report_exit: 15,
        lambda: machine.live(
            chance.randrange(3), *(chance.random() < share for share in (0.8, 0.5, 0.5))
        ): 20,
        lambda: machine.tamper(chance.choice(states)): 3,
        machine.crash: 3,
        machine.stop: 1,
        machine.fall_mute: 1,
        lambda: machine.hang(chance.choice(HANGING), chance.choice([0.0, 5.5])): 1,
    }
    endings = ['succeeds'] * 8 + ['fails', 'is lost']
    while_starting = {lambda: machine.start(chance.choice(endings)): 15}
    while_given_up = {machine.start_late: 5}
    while_empty = {
        lambda: machine.adopt(
            chance.choice([*DesiredState]), chance.choice(STATES), chance.random() < 0.3
        ): 5,
        lambda: machine.adopt_without_reports(
            chance.choice([*DesiredState]), chance.choice(STATES)
        ): 1,
    }
    for _ in range(steps):
        possible = dict(anytime)
        if world.current is not None:
            possible |= with_a_process
        if world.pending is not None:
            possible |= while_starting
        if world.slot.phase is Phase.EMPTY:
            possible |= while_empty
        if world.timed_out and world.slot.phase in (Phase.EMPTY, Phase.BACKOFF):
            possible |= while_given_up
        (happens,) = chance.choices(list(possible), list(possible.values()))
        happens()
    machine.teardown()
    return world


@pytest.mark.property
@pytest.mark.parametrize('first', range(0, 100, 25))
def test_long_histories_keep_the_slot_in_order(first: int):
    """In 100 histories of 400 random steps: never two processes, no item kept, convergence."""
    worlds = [walk(seed, 400) for seed in range(first, first + 25)]
    assert set().union(*(world.phases for world in worlds)) == set(Phase)
    seen = set().union(*(world.seen for world in worlds))
    killed_for = {'limit', 'state', 'adoption', 'startup', 'silence', 'link', 'hang', 'pressed'}
    assert seen >= killed_for | {
        'replaced',
        'refunded',
        'adopted',
        'late start',
        'failing True',
        'failing False',
    }


@pytest.mark.storm
@pytest.mark.timeout(3600)
def test_a_million_steps_keep_the_slot_in_order():
    """As many random steps as STORM_STEPS, a million by default; its seed is in the failure.

    ``STORM_SEED`` chooses the first seed; each further one has 400 steps more.
    """
    for seed in storm_seeds(1_000_000, 400):
        print(f'STORM_SEED={seed}')  # pytest shows it with a failure
        walk(seed, 400)


@given(
    beats=st.lists(st.floats(0.0, 0.9), max_size=20),
    tick=st.floats(0.01, 0.5),
)
def test_a_stopped_worker_is_killed_within_the_timeout_and_a_tick(beats: list[float], tick: float):
    """After its last heartbeat, however regular they were."""
    world = World(limit=5, seed=0)
    world.want(DesiredState.ACTIVE)
    world.start_succeeds()
    world.current.state = 'active'
    world.verify_link()
    world.report_state()
    for pause in beats:
        assert world.wait(pause) == [], 'killed although it had reported in time'
        world.report_state()
    world.current.stopped = True
    last_report = world.now
    while not (actions := world.wait(tick)):
        assert world.now - last_report <= TIMING.heartbeat_timeout
    assert TIMING.heartbeat_timeout < world.now - last_report
    assert world.now - last_report <= TIMING.heartbeat_timeout + tick + 1e-6
    assert [type(each) for each in actions] == [LeavePool, KillProcess]
    world.report_exit()
    assert world.pending == 'active'


@given(
    desired_states=st.lists(st.sampled_from(DesiredState), max_size=6),
    waits=st.lists(st.floats(0.0, 3.0), min_size=6, max_size=6),
)
def test_a_slot_that_is_not_needed_is_empty_in_bounded_time_whatever_its_process_does(
    desired_states: list[DesiredState], waits: list[float]
):
    """After a request, SIGTERM and SIGKILL."""
    world = World(limit=5, seed=0)
    for desired, seconds in zip(desired_states, waits, strict=False):
        world.want(desired)
        if world.pending:
            world.start_succeeds()
            world.current.stopped = True
        world.wait(seconds)
        world.report_exit()
    if world.pending:
        world.start_succeeds()
        world.current.stopped = True
    world.want(DesiredState.GONE, grace=1.0)
    asked = world.now
    while not world.slot.converged:
        world.wait(TICK)
        world.report_exit()
        assert world.now - asked <= 1.0 + TIMING.terminate_grace + 3 * TICK
    assert world.slot.phase is Phase.EMPTY
