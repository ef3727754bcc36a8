# SPDX-License-Identifier: Apache-2.0
"""The manager's node: how it stops, and what it tells systemd."""

from __future__ import annotations

from types import SimpleNamespace

import attrs
import pytest
from support.fake_nodes import FakeNode, run
from support.offline_pipeline import message, stage_config

from worker_pipeline.exit_codes import EXIT_HANDED_OVER
from worker_pipeline.manager import node as node_module
from worker_pipeline.manager.node import SECOND_SIGNAL_AFTER, ManagerNode
from worker_pipeline.recovery import journal


class FakeSystemd:
    def __init__(self):
        self.calls = []

    def __getattr__(self, name):
        return lambda *_: self.calls.append(name)


class FakeExecutor:
    """Keeps tasks; ``turn`` runs a step of each."""

    def __init__(self):
        self.tasks = []

    def create_task(self, call, *arguments):
        task = SimpleNamespace(call=call, arguments=arguments, is_done=False)
        task.done = lambda: task.is_done
        self.tasks.append(task)
        return task

    def turn(self):
        for task in self.tasks:
            if not task.is_done:
                run(task.call(*task.arguments))
                task.is_done = True


class OfflineManager(FakeNode, ManagerNode):
    """A manager's node whose ROS side is a fake."""

    def __init__(self, rig, executor):
        FakeNode.__init__(self, 'manager', rig.clock)
        self.state = 'active'
        self.finished = self.is_stopping = self._force_stop = self.is_handed_over = False
        self._is_forgotten = False
        self.exit_code = 0
        self._is_started = True
        self._stop_deadline = self._stop_asked_at = 0.0
        self._pipeline, self._executor, self._systemd = rig.pipeline, executor, FakeSystemd()
        self.published = 0
        self._diagnostics = SimpleNamespace(wait_for_all_acked=lambda _: None)
        self.transitions = []
        self.graces = []  # s that stages had to stop
        self.succeeds = True

    def publish_diagnostics(self):
        self.published += 1

    async def transition(self, label):
        self.transitions.append(label)
        return self.succeeds


@pytest.fixture
def rig(make):
    found = make(stage_config('a'), shutdown_timeout=10.0)
    found.start()
    found.stages['a'].state = 'active'
    return found


@pytest.fixture
def node(rig):
    return OfflineManager(rig, FakeExecutor())


def shut_down(node, rig, turn=lambda: None):
    """Run the shutdown, with the pipeline's time and ``turn`` between its steps."""

    def both():
        turn()
        rig.step()
        if node._executor.tasks and not all(each.is_done for each in node._executor.tasks):
            node._executor.turn()

    for stage in rig.stages.values():
        stage.stop_workers = lambda grace: stopped(node, grace)
    run(node.do_shutdown(), both)


async def stopped(node, grace):
    node.graces.append(grace)
    return True


def test_a_stop_drains_and_finishes(node):
    node.stop()
    (task,) = node._executor.tasks
    run(task.call())
    assert node.transitions == ['shutdown']
    assert node.finished
    assert node.exit_code == 0
    assert node._systemd.calls == ['stopping']


def test_a_stop_whose_shutdown_fails_exits_with_an_error(node):
    node.succeeds = False
    node.stop()
    run(node._executor.tasks[0].call())
    assert (node.finished, node.exit_code) == (True, 1)


def test_a_stop_waits_for_the_transition_under_way(node):
    node.state = 'activating'
    node.stop()
    turns = []

    def turn():
        turns.append(None)
        if len(turns) == 3:
            assert node.transitions == []
            node.state = 'active'

    run(node._executor.tasks[0].call(), turn)
    assert node.transitions == ['shutdown']


def test_a_second_stop_within_a_second_is_the_same_one(node, rig):
    """A terminal and a launcher may both send it."""
    node.stop()
    rig.clock.now += SECOND_SIGNAL_AFTER - 0.1
    node.stop()
    assert not node._force_stop
    assert len(node._executor.tasks) == 1


def test_a_stop_a_second_later_ends_the_draining(node, rig):
    rig.receive('a', 1)
    node.stop()
    node._executor.tasks.clear()
    begun = rig.clock.now

    def turn():
        if rig.clock.now - begun > 2.0:
            node.stop()

    shut_down(node, rig, turn)
    assert rig.clock.now - begun < 4.0
    assert node.logger.warnings == ['stopping with unfinished items (a: 1)']


def test_a_forced_stop_stays_forced(node, rig):
    node.stop()
    rig.clock.now += SECOND_SIGNAL_AFTER + 0.1
    node.stop()
    rig.clock.now -= SECOND_SIGNAL_AFTER
    node.stop()
    assert node._force_stop


def test_a_drain_ends_with_the_last_item(node, rig):
    rig.receive('a', 1)
    begun = rig.clock.now

    def turn():
        if rig.worker('a').items and rig.clock.now - begun > 1.0:
            rig.answer(rig.worker('a'), 1)
            rig.worker('a').items.clear()

    shut_down(node, rig, turn)
    assert node.logger.warnings == []
    assert rig.clock.now - begun < 3.0
    assert rig.node.logger.infos[-1].startswith('a: 1 accepted, 1 completed')
    assert node.published == 1


def test_a_drain_takes_no_longer_than_the_shutdown_timeout(node, rig):
    rig.receive('a', 1)
    begun = rig.clock.now
    shut_down(node, rig)
    assert 10.0 <= rig.clock.now - begun < 12.0
    assert node.logger.warnings == ['stopping with unfinished items (a: 1)']
    assert node.graces[0] == 1.0


def test_a_paused_pipeline_does_not_drain(node, rig):
    rig.receive('a', 1)
    rig.stages['a'].state = 'inactive'
    begun = rig.clock.now
    shut_down(node, rig)
    assert rig.clock.now - begun < 1.0
    assert node.logger.warnings == ['stopping with unfinished items (a: 1)']


def test_a_shutdown_by_the_lifecycle_service_is_a_stop_too(node, rig):
    shut_down(node, rig)
    assert node.is_stopping
    assert node._systemd.calls == ['stopping']
    assert node.graces[0] == 5.0


def test_the_service_answers_before_the_manager_finishes(node):
    node.state = 'finalized'
    node.state_changed()
    assert not node.finished
    ((_, finish),) = node.timers_made
    finish()
    assert node.finished


# -- supervision ---------------------------------------------------------------------------------


def test_the_watchdog_is_pinged_while_the_threads_are_running(node, rig):
    node._on_supervision()
    assert node._systemd.calls == ['ready', 'ping_watchdog']
    rig.processes.is_running = False
    node._on_supervision()
    assert node._systemd.calls.count('ping_watchdog') == 1


def test_a_manager_that_is_not_active_is_not_ready(node):
    node.state = 'inactive'
    node._on_supervision()
    assert 'ready' not in node._systemd.calls


@pytest.mark.parametrize(('asked', 'done'), [(True, True), (True, False), (False, True)])
def test_a_manager_stops_when_all_is_done_if_it_is_asked_to(node, make, asked, done):
    other = make(stage_config('a'), exit_when_done=asked)
    other.start()
    if not done:
        other.receive('a', 1)
    node._pipeline = other.pipeline
    node._on_supervision()
    assert node.is_stopping is (asked and done)


def test_an_exit_is_handled_by_the_executor(node):
    """It is reported by another thread."""
    node.on_exit(5, 'exited with code 1')
    assert node._executor.tasks[0].arguments == (5, 'exited with code 1')


def test_a_start_that_fails_stops_the_manager(node):
    node.succeeds = False
    run(node.start())
    assert node.transitions == ['configure']
    assert (node.exit_code, node.is_stopping) == (1, True)


def test_a_start_goes_to_active(node):
    run(node.start())
    assert node.transitions == ['configure', 'activate']
    assert node.exit_code == 0


@pytest.mark.parametrize('is_successor', [True, False])
def test_a_stop_during_the_start_leaves_time_for_the_items_of_an_earlier_manager(
    node, rig, is_successor
):
    """Which its workers could finish: a pipeline that is not active drains nothing."""
    node.state, node._is_started = 'unconfigured', False
    rig.receive('a', 1)
    rig.pipeline.expected_pids = frozenset({7}) if is_successor else frozenset()
    node.stop()
    (stop,) = node._executor.tasks
    run(stop.call(), lambda: run(node.start()))
    started = ['configure', 'activate'] if is_successor else []
    assert node.transitions == [*started, 'shutdown']
    assert node.finished


def test_a_second_signal_ends_such_a_start_too(node, rig):
    node.state, node._is_started = 'unconfigured', False
    rig.receive('a', 1)
    rig.pipeline.expected_pids = frozenset({7})
    node.stop()
    rig.clock.now += SECOND_SIGNAL_AFTER + 0.1
    node.stop()
    (stop,) = node._executor.tasks
    run(stop.call())
    assert node.transitions == ['shutdown']


# -- after a pause in which others have forgotten it ----------------------------------------------


@pytest.fixture
def forgotten(node, rig):
    """A manager that needs a new participant, at its next tick."""
    rig.pipeline.absence = SimpleNamespace(tick=lambda *_: True)
    rig.receive('a', 1, 2, 3, 4, 5)
    return node


def test_a_forgotten_manager_hands_over_with_all_its_items(forgotten, rig):
    """Without a journal too; and its answers are left for the successor."""
    unfinished = rig.dispatcher.stages['a'].ledger.unfinished
    assert unfinished == 5
    forgotten._on_supervision()
    assert (forgotten.finished, forgotten.exit_code) == (True, EXIT_HANDED_OVER)
    recovered = journal.read(rig.journal_path)
    assert recovered.entries == []
    items = str(recovered.snapshot['a']['ledger'])
    assert all(repr(message(stamp)) in items for stamp in (1, 2, 3, 4, 5))
    assert rig.processes.log[-1] == ('end', None), 'of the sockets'
    assert forgotten.transitions == [], 'no worker is stopped'


def set_while_running(rig):
    stage = attrs.evolve(rig.pipeline.config.stages['a'], queue_size=77)
    rig.pipeline.reconfigure(attrs.evolve(rig.pipeline.config, stages={'a': stage}))


def deactivate_the_stage(rig):
    rig.stages['a'].state = 'inactive'


def deactivate_a_worker(rig):
    rig.worker('a').state = 'inactive'
    rig.step()


@pytest.mark.parametrize('act', [set_while_running, deactivate_the_stage, deactivate_a_worker])
def test_what_a_successor_would_not_know_prevents_it(forgotten, rig, act):
    """Settings and states that somebody has asked for are not undone by a pause."""
    act(rig)
    forgotten._on_supervision()
    assert (forgotten.finished, forgotten.exit_code) == (False, 0)
    (warning,) = forgotten.logger.warnings
    assert 'restart those that do not hear it' in warning


def test_a_debugger_keeps_its_manager(forgotten, monkeypatch):
    monkeypatch.setattr(node_module, 'is_traced', lambda _: True)
    forgotten._on_supervision()
    assert not forgotten.finished
    assert 'debugger' in forgotten.logger.warnings[0]


def test_without_room_for_its_state_it_stays(forgotten, rig, monkeypatch):
    def fail(_):
        raise OSError('no space')

    monkeypatch.setattr(rig.journal, 'checkpoint', fail)
    forgotten._on_supervision()
    assert (forgotten.finished, forgotten.exit_code) == (False, 0)
    assert 'no space' in forgotten.logger.errors[0]
    assert not rig.journal.payloads, 'as before'
    assert ('end', None) not in rig.processes.log, 'the workers are still connected'


@pytest.mark.parametrize('change', [{'state': 'inactive'}, {'is_stopping': True}])
def test_one_that_is_not_active_does_not_hand_over(forgotten, change):
    for name, value in change.items():
        setattr(forgotten, name, value)
    forgotten._on_supervision()
    assert not forgotten.finished


def test_one_that_was_starting_hands_over_when_it_is_active(forgotten, rig):
    """A model may take minutes to load, and the machine may be suspended meanwhile."""
    forgotten.state = 'configuring'
    forgotten._on_supervision()
    rig.pipeline.absence = SimpleNamespace(tick=lambda *_: False)
    forgotten.state = 'active'
    forgotten._on_supervision()
    assert forgotten.exit_code == EXIT_HANDED_OVER


def test_what_prevents_a_hand_over_is_told_once(forgotten, rig):
    set_while_running(rig)
    forgotten._on_supervision()
    rig.clock.now += 0.05
    rig.pipeline.absence = SimpleNamespace(tick=lambda *_: False)
    forgotten._on_supervision()
    assert len(forgotten.logger.warnings) == 1
