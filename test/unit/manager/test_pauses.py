# SPDX-License-Identifier: Apache-2.0
"""Pauses from outside: nobody is killed or blamed for one, and a worker that hangs still is."""

from __future__ import annotations

import random
import signal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.manager_clock import use_fake_clock
from support.offline_pipeline import PERIOD, OfflinePipeline, pipeline_config, stage_config

from worker_pipeline.core.pause import PAUSE_LIMIT
from worker_pipeline.core.supervision_table import DesiredState, Phase
from worker_pipeline.manager import (
    pauses,
)
from worker_pipeline.manager import slot as slot_module

TIMEOUT = 1.0
NS = 10**9


class Scene:
    """A pipeline whose processes can be stopped, and held."""

    def __init__(self, make, monkeypatch, *stages, **settings):
        self.held: set[int] = set()
        self.kernel_says_stopped: set[int] = set()
        for module in (pauses, slot_module):
            monkeypatch.setattr(module, 'is_stopped', self.kernel_says_stopped.__contains__)
        monkeypatch.setattr(pauses, 'is_held', self.held.__contains__)
        stages = stages or (stage_config('a', workers=2), stage_config('b', workers=2))
        self.rig = make(*stages, heartbeat_timeout=TIMEOUT, **settings)
        self.rig.start(1.0)

    @property
    def workers(self):
        return [*self.rig.processes.workers.values()]

    def stop(self, *workers):
        for each in workers or self.workers:
            each.is_silent = True
            self.kernel_says_stopped.add(each.pid)

    def resume(self, *workers):
        for each in workers or self.workers:
            each.is_silent = False
            self.kernel_says_stopped.discard(each.pid)

    def stop_manager(self, seconds, workers_run=True):
        """Let the manager stand still: nothing that its workers do is seen."""
        end = self.rig.clock.now + seconds
        while self.rig.clock.now < end:
            self.rig.clock.now += PERIOD
            for worker in self.workers:
                slot = self.rig.services.slots_by_pid[worker.pid]
                if workers_run and not worker.is_silent and slot.liveness:
                    slot.liveness.set(heartbeat_at=self.rig.clock.monotonic_ns())
        self.rig.step()

    def assert_nobody_was_blamed(self):
        texts = [text for each in self.rig.stages.values() for text in each.logger.warnings]
        assert self.rig.processes.signals == [], texts
        assert all(
            slot.supervision.restarts == 0
            for stage in self.rig.stages.values()
            for slot in stage.slots.values()
        )
        counters = [each.dispatcher.ledger.counters for each in self.rig.stages.values()]
        assert not any(each.quarantined or each.redelivered or each.dropped for each in counters)


@pytest.fixture
def scene(make, monkeypatch):
    return Scene(make, monkeypatch)


def hold_items(scene):
    """Let every worker of the first stage process an item; returns who does which."""
    scene.rig.receive('a', 1, 2)
    numbers = [worker.items[-1] for worker in scene.workers[:2]]
    for index, number in enumerate(numbers):
        scene.rig.record('a', index).set(
            active_item=number, active_since=int(scene.rig.clock.now * NS)
        )
    return numbers


def answer(scene, numbers):
    for worker, number in zip(scene.workers, numbers, strict=False):
        scene.rig.answer(worker, number)
    for index in range(2):
        scene.rig.record('a', index).set(active_item=0)


@pytest.mark.parametrize('seconds', [1.0, 6.0, 12.0, 60.0])
@pytest.mark.parametrize(
    'kind', ['whole', 'manager', 'workers', 'manager first', 'workers first', 'far apart']
)
def test_nobody_dies_of_a_pause(scene, kind, seconds):
    """Though task_timeout is 1 s: the items in hand are not late either."""
    numbers = hold_items(scene)
    if kind != 'manager':
        scene.stop()
    if kind == 'workers':
        scene.rig.run(seconds)
        scene.resume()
    elif kind == 'workers first':
        scene.stop_manager(seconds)
        scene.resume()
        scene.stop_manager(0.5)
    else:
        scene.stop_manager(seconds)
        if kind == 'manager first':
            scene.rig.run(0.5)
        elif kind == 'far apart':
            scene.rig.run(30.0)
        scene.resume()
    scene.rig.run(0.5)
    answer(scene, numbers)
    scene.rig.run(5.0)
    scene.assert_nobody_was_blamed()
    assert len(scene.workers) == 4


def test_an_item_has_the_rest_of_its_time_after_a_pause(scene):
    """Of task_timeout, 1 s."""
    hold_items(scene)
    scene.rig.run(0.5)
    scene.stop()
    scene.rig.run(10.0)
    scene.resume()
    scene.rig.run(0.3)
    assert scene.rig.processes.signals == []
    scene.rig.run(0.4)
    assert len(scene.rig.processes.signals) == 2
    assert 'took longer than 1 s' in scene.rig.stages['a'].logger.warnings[0]


def test_a_worker_that_is_stopped_alone_is_replaced_and_its_items_are_requeued(scene):
    scene.rig.receive('a', 1)
    (worker,) = [each for each in scene.workers if each.items]
    scene.stop(worker)
    scene.rig.run(TIMEOUT)
    assert scene.rig.processes.signals == []
    scene.rig.run(0.5)
    assert scene.rig.processes.signals == [(worker.pid, signal.SIGKILL)]
    assert scene.rig.stages['a'].dispatcher.ledger.counters.redelivered == 1


def test_one_that_stays_stopped_when_the_others_continue_is_replaced(scene):
    worker, *others = scene.workers
    scene.stop()
    scene.rig.run(10.0)
    scene.resume(*others)
    scene.rig.run(TIMEOUT)
    assert scene.rig.processes.signals == []
    scene.rig.run(0.2)
    assert scene.rig.processes.signals == [(worker.pid, signal.SIGKILL)]


def test_workers_that_all_hang_are_replaced(scene):
    """They hold the GIL: silent, and not stopped."""
    for worker in scene.workers:
        worker.is_silent = True
    scene.rig.run(TIMEOUT + 0.2)
    assert len(scene.rig.processes.signals) == 4


def test_a_debugger_may_hold_one_worker(scene):
    worker = scene.workers[0]
    worker.is_silent = True
    scene.held.add(worker.pid)
    scene.rig.run(100.0)
    scene.assert_nobody_was_blamed()
    text = f'pid {worker.pid} is held by a debugger or a frozen control group: waiting for it'
    assert text in scene.rig.node.logger.warnings


def test_workers_that_are_never_continued_are_replaced(scene):
    scene.stop()
    scene.rig.run(PAUSE_LIMIT)
    assert scene.rig.processes.signals == []
    scene.rig.run(2 * TIMEOUT)
    assert len(scene.rig.processes.signals) == 4


def test_a_pause_is_told_once_and_reported(scene):
    scene.rig.node.logger.warnings.clear()
    scene.stop_manager(12.0)
    (text,) = scene.rig.node.logger.warnings
    assert text.startswith('stood still for 12.0 s')
    assert 'what they published meanwhile may be lost' in text
    now = scene.rig.clock.now
    assert scene.rig.pipeline.pauses.problem(now) == 'stood still for 12.0 s'
    assert scene.rig.pipeline.pauses.problem(now + 5.0) == ''
    assert scene.rig.pipeline.pauses.values() == {'held_up_s': '12.0'}


def test_a_suspended_machine_is_told_too(scene):
    scene.rig.clock.suspended += 3600.0
    scene.rig.step()
    assert scene.rig.node.logger.warnings[-1].startswith('stood still for 3600.0 s')
    scene.assert_nobody_was_blamed()


def test_a_short_hold_up_is_not_told(scene):
    scene.stop_manager(0.5)
    assert scene.rig.node.logger.warnings == []
    assert scene.rig.pipeline.pauses.values() == {'held_up_s': '0.0'}


# -- at other times --------------------------------------------------------------------------------


@pytest.mark.parametrize('who', ['whole', 'workers'])
def test_a_pause_while_workers_start_is_not_their_time(make, monkeypatch, who):
    """They have 5 s to start."""
    scene = Scene(make, monkeypatch)
    for worker in scene.workers:
        worker.death = 'exited with code 1'
    scene.rig.step()
    workers = scene.workers
    for worker in workers:
        worker.is_stuck = True
    scene.rig.run(3.0)
    scene.stop()
    if who == 'whole':
        scene.stop_manager(20.0)
    else:
        scene.rig.run(20.0)
    scene.resume()
    scene.rig.run(1.5)
    assert scene.rig.processes.signals == []
    scene.rig.run(1.0)
    assert len(scene.rig.processes.signals) == 4, 'they have had their time'


@pytest.mark.parametrize('who', ['whole', 'workers'])
def test_a_pause_while_a_worker_is_replaced_gracefully_is_not_its_time(scene, who):
    slot = scene.rig.slot('a')
    scene.stop()
    slot.replace_gracefully(scene.rig.clock.now, 3.0)
    if who == 'whole':
        scene.stop_manager(20.0)
    else:
        scene.rig.run(20.0)
    assert slot.supervision.phase is Phase.STOPPING
    assert scene.rig.processes.signals == []
    scene.resume()
    scene.rig.run(0.5)
    scene.assert_nobody_was_blamed()
    assert slot.supervision.phase is Phase.READY, 'the next one'


def test_a_stop_waits_for_stopped_workers_only_as_long_as_was_asked(scene):
    scene.stop()
    for stage in scene.rig.stages.values():
        stage.workers.begin_stop(1.0)
    scene.rig.run(2.0)
    assert {number for _, number in scene.rig.processes.signals} == {
        signal.SIGTERM,
        signal.SIGKILL,
    }


def test_a_pause_while_workers_are_deactivated(scene):
    scene.stop()
    for stage in scene.rig.stages.values():
        stage.workers.set_desired(DesiredState.INACTIVE)
    scene.rig.run(40.0)
    scene.resume()
    scene.rig.run(1.0)
    scene.assert_nobody_was_blamed()
    assert {each.state for each in scene.workers} == {'inactive'}


def test_standbys_are_not_activated_for_a_pause(make, monkeypatch):
    scene = Scene(make, monkeypatch, stage_config('a', workers=2, standby=1))
    active = scene.rig.active('a')
    scene.stop()
    scene.stop_manager(3.0)
    scene.rig.run(20.0)
    scene.resume()
    scene.rig.run(2.0)
    assert scene.rig.active('a') == active
    scene.assert_nobody_was_blamed()


def test_the_only_worker_survives_a_pause_of_the_whole_pipeline(make, monkeypatch):
    """Also if the manager continues seconds before it."""
    scene = Scene(make, monkeypatch, stage_config('a'))
    scene.stop()
    scene.stop_manager(12.0)
    scene.rig.run(8.0)
    scene.resume()
    scene.rig.run(2.0)
    scene.assert_nobody_was_blamed()


# -- at random -------------------------------------------------------------------------------------

PAUSES = st.lists(
    st.tuples(
        st.sampled_from(['whole', 'manager', 'workers', 'manager first', 'workers first']),
        st.floats(0.05, 15.0),  # its length
        st.floats(0.0, 0.9),  # by how much the others are later, s
        st.floats(0.3, 5.0),  # until the next one
    ),
    min_size=1,
    max_size=3,
)


def offline(folder, clock):
    # Enough for the moments in which only some are stopped.
    first = stage_config('a', workers=2, task_timeout=3.0)
    config = pipeline_config(first, stage_config('b'), heartbeat_timeout=TIMEOUT)
    return OfflinePipeline(folder, clock, config)


@settings(max_examples=25)
@given(pauses_of_all=PAUSES, victim=st.integers(0, 2), seed=st.integers(0, 1000))
def test_whatever_pauses_come_nobody_dies_but_one_that_hangs_does(
    tmp_path_factory, pauses_of_all, victim, seed
):
    """It hangs after them, and is killed within its limit."""
    chance = random.Random(seed)
    with pytest.MonkeyPatch.context() as monkeypatch:
        clock = use_fake_clock(monkeypatch)
        made = []

        def make(*_stages, **_settings):
            made.append(offline(tmp_path_factory.mktemp('pauses'), clock))
            return made[0]

        scene = Scene(make, monkeypatch)
        numbers = hold_items(scene)
        for kind, seconds, apart, between in pauses_of_all:
            pause(scene, kind, seconds, apart, chance)
            scene.rig.run(0.1)
            answer(scene, numbers)
            numbers = []
            scene.rig.run(between)
            scene.assert_nobody_was_blamed()
        hanging = scene.workers[victim]
        scene.stop(hanging)
        scene.rig.run(TIMEOUT + 3 * PERIOD)
        assert scene.rig.processes.signals == [(hanging.pid, signal.SIGKILL)]
        made[0].journal.close()


def pause(scene, kind, seconds, apart, chance):
    """Stop all workers, or the manager, or both, not all at the same time."""
    if kind == 'manager':
        scene.stop_manager(seconds)
        return
    workers = chance.sample(scene.workers, len(scene.workers))
    late = workers.pop()
    scene.stop(*workers)
    scene.rig.run(apart / 2)
    scene.stop(late)
    if kind == 'workers':
        scene.rig.run(seconds)
    else:
        scene.stop_manager(seconds)
    if kind == 'manager first':
        scene.rig.run(5 * apart)
    if kind == 'workers first':
        scene.resume(*workers)
        scene.stop_manager(apart)
    scene.resume(*workers)
    scene.rig.run(apart)
    scene.resume(late)
