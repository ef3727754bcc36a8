# SPDX-License-Identifier: Apache-2.0
"""A pipeline: processes by pid, time, the start of the stream, and the end."""

from __future__ import annotations

import attrs
import pytest
from support.fake_nodes import run
from support.fake_workers import FakeWorker
from support.offline_pipeline import HEADER, pipeline_config, stage_config

from worker_pipeline.config import PluginDescription
from worker_pipeline.manager.pipeline import SUPERVISION_PERIOD
from worker_pipeline.protocol.channel import ProtocolError
from worker_pipeline.protocol.packets import hello_packet

TICK = 'sensor_msgs/msg/TimeReference'
SOURCE = PluginDescription(TICK, HEADER)


def chain(make, **settings):
    """Return a source and a stage that follows it."""
    return make(stage_config('a'), stage_config('b', 'a'), plugins={'a': SOURCE}, **settings)


# -- processes -----------------------------------------------------------------------------------


def test_an_exit_is_passed_to_the_slot_of_the_process(make):
    rig = make(stage_config('a'), stage_config('b'))
    rig.start()
    worker = rig.worker('b')
    rig.exit(worker, 'exited with code 1')
    assert worker.pid not in rig.services.slots_by_pid
    assert rig.stages['a'].logger.warnings == []
    assert len(rig.stages['b'].logger.warnings) == 1


def test_the_exit_of_another_process_is_one_of_a_spare(make):
    rig = make(stage_config('a'))
    rig.pipeline.process_exited(123, 'exited with code 1')
    assert rig.processes.log == [('spare exited', (123, 'exited with code 1'))]


@pytest.mark.parametrize(('stage', 'slot'), [('b', 'worker_0'), ('a', 'worker_1')])
def test_a_worker_that_claims_another_slot_is_refused(make, stage, slot):
    rig = make(stage_config('a', workers=2), stage_config('b'))
    rig.start()
    hello = hello_packet(stage, slot, [], 0)
    with pytest.raises(ProtocolError, match=f'found a hello of {stage}/{slot}; allowed: of a/work'):
        rig.pipeline.worker_connected(rig.worker('a'), hello)


def test_a_process_that_fills_no_slot_is_refused(make):
    """One of an earlier manager's workers may come again, when its stage is configured."""
    rig = make(stage_config('a'))
    rig.start()
    stranger = FakeWorker(123, rig.worker('a').spec)
    assert not rig.pipeline.is_worker(123)
    assert rig.pipeline.is_worker(rig.worker('a').pid)
    rig.pipeline.expected_pids = frozenset({123})
    assert rig.pipeline.is_worker(123)
    assert rig.pipeline.worker_connected(stranger, hello_packet('a', 'worker_0', [], 0)) is None


# -- time ----------------------------------------------------------------------------------------


def test_ticks_on_time_extend_no_deadline(make):
    rig = make(stage_config('a'), heartbeat_timeout=1.0)
    rig.start()
    rig.worker('a').is_silent = True
    for _ in range(12):
        rig.clock.now += 2 * SUPERVISION_PERIOD
        rig.pipeline.tick(rig.clock.now, is_active=True)
    assert len(rig.processes.signals) == 1


def test_a_manager_that_was_held_up_kills_nobody_for_it(make):
    """The heartbeats of that time have not been read yet."""
    rig = make(stage_config('a'), stage_config('b'), heartbeat_timeout=1.0)
    rig.start()
    for name in ('a', 'b'):
        rig.worker(name).is_silent = True
    rig.clock.now += 5.0
    rig.pipeline.tick(rig.clock.now, is_active=True)
    assert rig.processes.signals == []
    rig.run(1.2)
    assert len(rig.processes.signals) == 2


def test_spares_are_started_only_while_no_worker_starts(make):
    rig = make(stage_config('a', workers=2))
    rig.start()
    assert rig.processes.log[-1] == ('spares', True)
    rig.exit(rig.worker('a'), 'exited with code 1')
    rig.worker('a').is_stuck = True
    rig.step()
    assert rig.processes.log[-1] == ('spares', False)


def test_spares_are_not_started_before_the_stream(make):
    rig = make(stage_config('a'))
    rig.step()
    assert rig.processes.log[-1] == ('spares', False)


def test_room_in_frame_memory_is_used_at_the_next_tick(make):
    rig = make(stage_config('a'))
    rig.start()
    rig.dispatcher.budget.blocked.add('a')
    called = []
    rig.dispatcher.frames_released = lambda: called.append('released')
    rig.step()
    assert called


# -- the start of the stream ---------------------------------------------------------------------


def test_the_stream_starts_when_every_stage_has_an_active_worker(make):
    rig = chain(make)
    rig.start(0.0)
    rig.worker('b').is_stuck = True
    rig.run(0.5)
    assert rig.active('a') == ['worker_0']
    assert rig.worker('a').items == []
    assert rig.node.logger.infos == []
    rig.worker('b').is_stuck = False
    rig.run(0.2)
    assert rig.worker('a').items == [1, 2]
    assert rig.node.logger.infos == ['every stage is active']


def test_the_stream_starts_only_once_the_manager_is_active(make):
    rig = chain(make)
    rig.start(0.0)
    for _ in range(10):
        rig.clock.now += SUPERVISION_PERIOD
        rig.move_workers()
        rig.pipeline.tick(rig.clock.now, is_active=False)
    assert rig.worker('a').items == []


def test_the_stream_starts_once(make):
    rig = chain(make)
    rig.start()
    rig.run(1.0)
    assert rig.node.logger.infos == ['every stage is active']


def test_all_sources_begin_at_one_moment(make):
    rig = make(stage_config('a'), stage_config('b'), plugins={'a': SOURCE, 'b': SOURCE})
    rig.start()
    epochs = {each.dispatcher.source.epoch for each in rig.stages.values()}
    assert len(epochs) == 1
    assert epochs != {0}


def test_the_threads_are_watched(make):
    rig = make(stage_config('a'))
    assert rig.pipeline.threads_are_running
    rig.processes.is_running = False
    assert not rig.pipeline.threads_are_running


# -- the end -------------------------------------------------------------------------------------


def end_source(rig, name='a'):
    """Let a source report its end for every tick that it holds."""
    worker = rig.worker(name)
    for number in [*worker.items]:
        rig.answer(worker, number, 'end of stream')


def test_a_pipeline_is_done_when_its_sources_are_exhausted_and_nothing_is_left(make):
    rig = chain(make)
    assert not rig.pipeline.is_done
    rig.start()
    assert not rig.pipeline.is_done
    worker = rig.worker('a')
    rig.answer(worker, 1)
    rig.answer(worker, 2, 'end of stream')
    rig.answer(worker, 3, 'end of stream')
    assert rig.stages['a'].dispatcher.source.exhausted
    assert not rig.pipeline.is_done  # the second stage has an item
    rig.answer(rig.worker('b'), 1)
    assert rig.pipeline.is_done


def test_a_pipeline_whose_stream_has_not_started_is_not_done(make):
    rig = make(stage_config('a'))
    assert not rig.pipeline.is_done


def test_a_source_of_nothing_but_context_may_go_on(make):
    """As a vehicle does with its odometry."""
    rig = make(
        stage_config('a'),
        stage_config('odometry'),
        stage_config('b', 'a', context={'pose': 'odometry'}),
        plugins={'a': SOURCE, 'odometry': SOURCE},
    )
    rig.start()
    end_source(rig)
    assert rig.worker('odometry').items
    assert rig.pipeline.is_done


def test_a_closed_intake_takes_nothing_more(make):
    rig = chain(make)
    rig.start()
    rig.pipeline.close_intake()
    rig.receive('b', 1)
    asked = len(rig.worker('a').items)
    rig.answer(rig.worker('a'), 1, 'no output')
    assert rig.worker('b').items == []
    assert len(rig.worker('a').items) == asked
    assert rig.processes.log[-1] == ('end', None)  # of the spares


def test_unfinished_items_are_counted_by_stage(make):
    rig = make(stage_config('a'), stage_config('b'), stage_config('c'))
    rig.start()
    rig.receive('a', 1)
    rig.receive('c', 1, 2)
    assert rig.pipeline.unfinished() == {'a': 1, 'c': 2}


def test_a_pipeline_is_drained_when_nothing_is_left_or_nobody_could_do_it(make):
    rig = make(stage_config('a'))
    rig.start()
    assert rig.pipeline.is_drained
    rig.receive('a', 1)
    assert not rig.pipeline.is_drained
    rig.stages['a'].slots.clear()
    assert rig.pipeline.is_drained


def test_a_drain_goes_from_the_sources_on(make):
    """In the configuration the order is another one."""
    rig = make(stage_config('c', 'b'), stage_config('b', 'a'), stage_config('a'))
    order = []

    def drain_of(name):
        async def drain():
            order.append(name)
            return ''

        return drain

    for name, stage in rig.stages.items():
        stage.drain = drain_of(name)
    assert run(rig.pipeline.drain()) == ''
    assert order == ['a', 'b', 'c']


def test_a_drain_ends_with_the_first_stage_that_is_stopped(make):
    rig = make(stage_config('a'), stage_config('b', 'a'))
    rig.start()
    rig.receive('a', 1)
    rig.stages['a'].state = 'inactive'
    assert run(rig.pipeline.drain()) == 'a is inactive; 1 items are left'


def test_a_drain_includes_what_a_stage_passes_on(make):
    rig = make(stage_config('a'), stage_config('b', 'a'))
    rig.start()
    rig.receive('a', 1)
    turns = []

    def turn():
        turns.append(None)
        if len(turns) == 2:
            rig.answer(rig.worker('a'), 1)
        if len(turns) == 4:
            rig.answer(rig.worker('b'), 1)

    assert run(rig.pipeline.drain(), turn) == ''
    assert len(turns) == 4


def test_totals_are_logged_by_stage(make):
    rig = make(stage_config('a', queue_size=1, concurrency=1))
    rig.start()
    rig.receive('a', 1, 2, 3)
    rig.answer(rig.worker('a'), 1)
    rig.pipeline.log_totals()
    totals = 'a: 3 accepted, 1 completed, 1 dropped, 0 quarantined'
    assert rig.node.logger.infos[-1] == f'{totals}, 1 unfinished'
    rig.answer(rig.worker('a'), 3)
    rig.pipeline.log_totals()
    assert rig.node.logger.infos[-1] == 'a: 3 accepted, 2 completed, 1 dropped, 0 quarantined'


def test_outputs_are_flushed_of_the_stages_that_have_one(make):
    rig = make(stage_config('a'), stage_config('b'))
    rig.pipeline.flush_outputs(0.5)  # none is configured
    rig.start()
    rig.pipeline.flush_outputs(0.5)
    waits = [each.topics_published[f'{name}/output'].waits for name, each in rig.stages.items()]
    assert waits == [[0.5], [0.5]]


def test_destroy_ends_stages_sockets_and_the_quarantine(make):
    rig = make(stage_config('a'), stage_config('b'))
    rig.pipeline.destroy()
    assert all(each.is_destroyed for each in rig.stages.values())
    assert rig.processes.log[-1] == ('end', None)
    assert rig.quarantine.closed_after == 2.0


# -- settings and figures ------------------------------------------------------------------------


def test_changed_settings_reach_every_stage(make):
    rig = make(stage_config('a'), stage_config('b'))
    changed = pipeline_config(
        stage_config('a', queue_size=3), stage_config('b', queue_size=4), exit_when_done=True
    )
    rig.pipeline.reconfigure(changed)
    assert [each.dispatcher.policy.queue_size for each in rig.stages.values()] == [3, 4]
    assert rig.pipeline.config is changed


def test_the_same_settings_again_change_nothing(make):
    rig = make(stage_config('a'))
    called = []
    rig.stages['a'].dispatcher.set_policy = called.append
    rig.stages['a'].reconfigure(attrs.evolve(rig.stages['a'].config))
    assert called == []


def test_snapshot_and_statistics_have_every_stage(make):
    rig = make(stage_config('a'), stage_config('b'))
    assert list(rig.pipeline.snapshot()) == ['a', 'b']
    assert [each.name for each in rig.pipeline.statistics(rig.clock.now)] == ['a', 'b']
