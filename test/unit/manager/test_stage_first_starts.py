# SPDX-License-Identifier: Apache-2.0
"""Workers of a large pipeline start some at a time; replacements, scaling and stops as ever."""

from __future__ import annotations

from support.fake_nodes import run
from support.offline_pipeline import OfflinePipeline, stage_config
from support.offline_stage import reconfigure

from worker_pipeline.core.first_starts import PATIENCE
from worker_pipeline.core.reported_state import reported_state
from worker_pipeline.core.supervision_table import DesiredState, Phase


def processes(rig: OfflinePipeline) -> list[str]:
    """Return the workers that have a process, by stage and number."""
    return sorted(
        f'{stage}{name.removeprefix("worker_")}'
        for stage, node in rig.stages.items()
        for name, slot in node.slots.items()
        if slot.supervision.pid is not None
    )


def ask_for_all(rig: OfflinePipeline) -> None:
    """Have every stage ask for its workers, of which none gets ready by itself."""
    for stage in rig.stages.values():
        stage.workers.open(None)
        stage.workers.set_desired(DesiredState.INACTIVE)


def hang(rig: OfflinePipeline) -> None:
    for worker in rig.processes.workers.values():
        worker.is_stuck = True


def test_a_pipeline_of_many_workers_becomes_active(make):
    rig = make(*(stage_config(each, workers=3, standby=1) for each in 'abc'), first_starts=2)
    rig.start(2.0)
    assert [rig.active(each) for each in 'abc'] == [['worker_0', 'worker_1', 'worker_2']] * 3
    assert [rig.worker(each, 3).state for each in 'abc'] == ['inactive'] * 3


def test_the_others_wait_until_those_that_start_are_ready(make):
    rig = make(stage_config('a', workers=2), stage_config('b', workers=2), first_starts=2)
    ask_for_all(rig)
    assert processes(rig) == ['a0', 'a1']  # nobody knew of b
    rig.step()  # these connect and are ready, and two others are started
    assert processes(rig) == ['a0', 'a1', 'b0', 'b1']


def test_each_stage_gets_a_worker_before_any_gets_a_second_one(make):
    rig = make(*(stage_config(each, workers=2) for each in 'abc'), first_starts=1)
    ask_for_all(rig)
    seen = [processes(rig)]
    while len(seen[-1]) < 6:
        rig.step()
        seen += [processes(rig)] if processes(rig) != seen[-1] else []
    assert seen[0] == ['a0']
    assert seen[2] == ['a0', 'b0', 'c0']
    assert seen[4] == ['a0', 'a1', 'b0', 'b1', 'c0']


def test_a_start_that_hangs_holds_the_others_up_for_a_bounded_time(make):
    rig = make(stage_config('a', startup_timeout=60.0), stage_config('b'), first_starts=1)
    ask_for_all(rig)
    hang(rig)
    rig.run(PATIENCE - 0.2)
    assert processes(rig) == ['a0']
    rig.run(0.3)
    assert processes(rig) == ['a0', 'b0']


def test_a_replacement_does_not_wait_for_first_starts(make):
    rig = make(stage_config('a'), stage_config('b'), stage_config('c'), first_starts=1)
    ask_for_all(rig)
    rig.step()
    hang(rig)
    assert processes(rig) == ['a0', 'b0']  # and b does not get ready
    rig.exit(rig.worker('a'), 'killed by SIGKILL')
    assert processes(rig) == ['a0', 'b0']
    assert rig.slot('a').supervision.restarts == 1


def test_a_worker_that_has_not_been_started_is_reported_as_starting(make):
    rig = make(stage_config('a'), stage_config('b'), first_starts=1)
    ask_for_all(rig)
    slot = rig.slot('b').supervision
    assert slot.phase is Phase.EMPTY
    assert reported_state(slot, rig.clock.now) == 'starting'


def test_the_time_to_start_counts_from_the_start(make):
    """Not from when the worker was asked for: it waits for another one, longer than it may take."""
    timeout = PATIENCE - 1.0
    rig = make(
        stage_config('a', startup_timeout=60.0),
        stage_config('b', startup_timeout=timeout),
        first_starts=1,
    )
    ask_for_all(rig)
    hang(rig)
    stage, begin = rig.stages['b'], rig.clock.now
    run(stage.workers.settled(timeout), rig.step)
    assert rig.clock.now - begin > PATIENCE
    assert rig.slot('b').supervision.restarts == 0
    assert stage.logger.warnings == []
    assert rig.worker('b').state == 'inactive'


def test_a_worker_that_hangs_after_its_turn_has_come_is_named(make):
    rig = make(stage_config('a', workers=2, startup_timeout=3.0), first_starts=1)
    ask_for_all(rig)

    def step() -> None:
        hang(rig)
        rig.step()

    begin = rig.clock.now
    run(rig.stages['a'].workers.settled(3.0), step)
    (warning,) = [each for each in rig.stages['a'].logger.warnings if 'continuing' in each]
    assert 'not ready after 3.0 s; continuing without' in warning
    assert rig.clock.now - begin < 3.0 + PATIENCE + 1.0


def test_more_workers_are_started_some_at_a_time(make):
    rig = make(stage_config('s'), first_starts=2)
    rig.start()
    reconfigure(rig, workers=6)
    assert processes(rig) == ['s0', 's1', 's2']
    rig.run(1.0)
    assert len(rig.active('s')) == 6
    reconfigure(rig, workers=1)
    rig.run(5.0)
    reconfigure(rig, workers=2)
    rig.run(0.5)
    assert rig.active('s') == ['worker_0', 'worker_1']


def test_a_stage_that_is_stopped_while_it_waits_gets_no_process(make):
    rig = make(stage_config('a'), stage_config('b'), first_starts=1)
    ask_for_all(rig)
    hang(rig)
    rig.stages['b'].workers.begin_stop(1.0)
    rig.run(2 * PATIENCE)
    assert processes(rig) == ['a0']
    assert rig.stages['b'].workers.all_gone


def last_first_start_beside_failing_ones(rig: OfflinePipeline, seconds: float) -> float:
    """Return when the last worker of the last stage was started, s; those of the first one fail.

    ``seconds``: how long each of these takes to die.
    """
    ask_for_all(rig)
    begin, last = rig.clock.now, [*rig.stages['b'].slots.values()][-1]
    while not last.supervision.starts and rig.clock.now - begin < 300.0:
        for worker in list(rig.processes.workers.values()):
            slot = rig.services.slots_by_pid[worker.pid]
            if slot.stage == 'a' and rig.clock.now - slot.supervision.started_at > seconds:
                rig.exit(worker, 'exited with code 1')
        for worker in rig.processes.workers.values():
            worker.is_stuck = worker.spec.stage == 'a'
        rig.step()
    return rig.clock.now - begin


def test_workers_that_die_at_each_start_hold_the_others_up_for_a_bounded_time(make):
    stages = stage_config('a', workers=8), stage_config('b', workers=8)
    rig = make(*stages, first_starts=4, restart_backoff_max=0.3)
    assert last_first_start_beside_failing_ones(rig, 3.0) < 2 * 3.0 + 1.0
