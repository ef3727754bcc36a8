# SPDX-License-Identifier: Apache-2.0
"""A worker that has worked, and leaves its stage without any, is replaced without a delay."""

from __future__ import annotations

import random

import pytest
from support.supervisions import TIMING, of_kind

from worker_pipeline.core.admission import SlotAdmission, StageLimits
from worker_pipeline.core.restart_policy import RestartPolicy
from worker_pipeline.core.supervision import Supervision
from worker_pipeline.core.supervision_table import (
    DesiredState,
    LimitExceeded,
    Phase,
    ProcessExited,
    ProcessStarted,
    StartProcess,
    StateReported,
    WorkerConnected,
)

WORKED = RestartPolicy.WORKED


class Stage:
    """Slots with a delay of at least 300 s from the second restart on."""

    def __init__(self, *names, standbys=()):
        self.now, self.pids = 0.0, 100
        self.slots = {}
        limits = StageLimits(len(names) - len(standbys))
        for name in names:
            policy = RestartPolicy(
                backoff_max=600.0, limit=0, window=30.0, random_source=random.Random(1)
            )
            admission = SlotAdmission(name, self.slots, limits)
            self.slots[name] = Supervision(policy, TIMING, admission)
        for name in names:
            desired = DesiredState.INACTIVE if name in standbys else DesiredState.ACTIVE
            self.slots[name].set_desired(desired, self.now)
            self.fork(name)
            self.come_up(name)

    def fork(self, name):
        self.pids += 1
        self.slots[name].handle(ProcessStarted(self.pids), self.now)

    def come_up(self, name):
        slot = self.slots[name]
        slot.handle(WorkerConnected(slot.pid), self.now)
        slot.handle(StateReported(slot.pid, slot.desired.value), self.now)
        assert slot.phase is Phase.READY

    def kill(self, name):
        """Return whether it is replaced at once; its replacement comes up if so."""
        slot = self.slots[name]
        is_started = of_kind(
            slot.handle(ProcessExited(slot.pid, 'signal 9'), self.now), StartProcess
        )
        if is_started:
            self.fork(name)
        else:
            assert slot.phase is Phase.BACKOFF
        return bool(is_started)

    def wear_out(self, name):
        """Have it die so often that it has a long delay."""
        while self.kill(name):
            self.come_up(name)


def test_the_only_worker_is_replaced_at_once_however_often_it_dies():
    stage = Stage('a')
    for _ in range(30):
        stage.now += WORKED
        assert stage.kill('a')
        stage.come_up('a')


def test_one_that_dies_before_it_did_anything_is_not():
    stage = Stage('a')
    for died_at in (0.0, WORKED / 2):
        stage.now += died_at
        if not stage.kill('a'):
            return
        stage.come_up('a')
    pytest.fail('it is started again and again')


def test_one_beside_another_that_works_is_not():
    stage = Stage('a', 'b')
    stage.now += WORKED
    assert stage.kill('a')  # the first restart
    stage.come_up('a')
    stage.now += WORKED
    assert not stage.kill('a')


def test_the_last_of_several_is():
    stage = Stage('a', 'b')
    stage.wear_out('a')
    for _ in range(3):
        stage.now += WORKED
        assert stage.kill('b')
        stage.come_up('b')


def test_one_that_its_manager_ends_for_hanging_is():
    stage = Stage('a')
    for _ in range(3):
        stage.now += WORKED
        slot = stage.slots['a']
        slot.handle(LimitExceeded(slot.pid, 'an item took longer than 5 s'), stage.now)
        stage.now += 0.1
        assert stage.kill('a')
        stage.come_up('a')


def test_a_worker_that_cannot_start_after_one_that_worked_is_not_tried_at_once():
    stage = Stage('a')
    stage.now += WORKED
    assert stage.kill('a')
    assert not stage.kill('a')  # while it starts


def test_with_a_standby_there_is_no_hurry_but_when_both_are_gone():
    stage = Stage('a', 'b', standbys=('b',))
    stage.wear_out('a')
    stage.now += WORKED
    slot = stage.slots['b']
    slot.set_desired(DesiredState.ACTIVE, stage.now)
    slot.handle(StateReported(slot.pid, 'active'), stage.now)
    stage.now += WORKED
    assert stage.kill('b')


def test_a_standby_that_fails_when_it_is_needed_is_not_started_at_once():
    stage = Stage('a', 'b', standbys=('b',))
    stage.wear_out('a')
    stage.now += WORKED
    slot = stage.slots['b']
    slot.set_desired(DesiredState.ACTIVE, stage.now)
    assert stage.kill('b')  # the first restart
    assert not stage.kill('b')


def test_one_that_is_being_scaled_away_does_not_count_as_at_work():
    stage = Stage('a', 'b')
    stage.wear_out('b')
    stage.slots['b'].set_desired(DesiredState.GONE, stage.now)
    stage.now += WORKED
    assert stage.kill('a')
