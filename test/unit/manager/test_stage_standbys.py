# SPDX-License-Identifier: Apache-2.0
"""A standby of a stage takes over at once when an active worker exits."""

from __future__ import annotations

from support.offline_pipeline import stage_config

from worker_pipeline.core.supervision_table import Phase


def test_a_standby_takes_over_at_once_when_a_worker_exits(make):
    rig = make(stage_config('s', standby=1))
    rig.start()
    rig.exit(rig.worker('s', 0), 'exited with code 1')
    assert rig.worker('s', 1).requests == ['activate']
    assert rig.stages['s'].logger.infos[-1] == 'worker_1 takes over from worker_0'
    rig.run()
    assert rig.active('s') == ['worker_1']
    assert rig.worker('s', 0).state == 'inactive'  # the standby from now on


def test_a_standby_takes_over_before_another_process_is_started(make, monkeypatch):
    """A start takes milliseconds. The standby from then on is started as one."""
    rig = make(stage_config('s', standby=1))
    rig.start()
    standby, start = rig.worker('s', 1), rig.processes.start
    seen = []

    def record_and_start(spec):
        seen.append((list(standby.requests), spec.target))
        return start(spec)

    monkeypatch.setattr(rig.processes, 'start', record_and_start)
    rig.exit(rig.worker('s', 0), 'exited with code 1')
    assert seen == [(['activate'], 'inactive')]


def test_items_go_to_another_worker_before_another_process_is_started(make, monkeypatch):
    rig = make(stage_config('s', workers=2, concurrency=1))
    rig.start()
    rig.receive('s', 1)
    held = [rig.worker('s', index) for index in (0, 1)]
    dying, other = sorted(held, key=lambda each: not each.items)
    start = rig.processes.start
    seen = []

    def record_and_start(spec):
        seen.append(list(other.items))
        return start(spec)

    monkeypatch.setattr(rig.processes, 'start', record_and_start)
    rig.exit(dying, 'exited with code 1')
    assert seen == [dying.items]


def test_a_standby_takes_over_when_a_worker_is_killed_for_its_silence(make):
    rig = make(stage_config('s', standby=1), heartbeat_timeout=1.0)
    rig.start()
    rig.worker('s', 0).is_silent = True
    rig.run(1.0)
    assert rig.active('s') == ['worker_0']
    rig.run(0.2)
    assert rig.active('s') == ['worker_1']


def test_a_standby_that_is_not_ready_takes_over_from_nobody(make):
    rig = make(stage_config('s', standby=1))
    rig.start()
    rig.exit(rig.worker('s', 1), 'exited with code 1')
    rig.exit(rig.worker('s', 0), 'exited with code 1')
    rig.run()
    assert rig.active('s') == ['worker_0']
    assert rig.worker('s', 1).state == 'inactive'


def test_a_standby_that_becomes_ready_during_the_backoff_takes_over(make):
    """The slot that failed waits for its next start meanwhile."""
    rig = make(stage_config('s', standby=1))
    rig.start()
    rig.worker('s', 1).is_stuck = True  # a new one, that has not connected
    rig.exit(rig.worker('s', 1), 'exited with code 1')
    rig.exit(rig.worker('s', 0), 'exited with code 1')
    rig.exit(rig.worker('s', 0), 'exited with code 1')  # the second restart is delayed
    assert rig.slot('s', 0).supervision.phase is Phase.BACKOFF
    rig.step()
    assert 'worker_1 takes over from worker_0' in rig.stages['s'].logger.infos


def test_the_exit_of_a_standby_promotes_nobody(make):
    rig = make(stage_config('s', standby=2))
    rig.start()
    rig.exit(rig.worker('s', 1), 'exited with code 1')
    rig.run()
    assert rig.active('s') == ['worker_0']
    assert not any('takes over' in each for each in rig.stages['s'].logger.infos)
