# SPDX-License-Identifier: Apache-2.0
"""The level and the message of the manager, each stage and each worker."""

from __future__ import annotations

import attrs
import pytest
from diagnostic_msgs.msg import DiagnosticStatus

from worker_pipeline.manager import diagnostics
from worker_pipeline.manager.diagnostics import RECENT_WINDOW, Diagnostics, summary_line
from worker_pipeline.manager.stage_statistics import StageStatistics, WorkerStatistics

OK, WARN, ERROR, STALE = (
    DiagnosticStatus.OK,
    DiagnosticStatus.WARN,
    DiagnosticStatus.ERROR,
    DiagnosticStatus.STALE,
)
PID = 10**7
COUNTERS = dict.fromkeys(
    ('dropped', 'quarantined', 'refused', 'lost', 'outputs_lost', 'by_socket'), 0
)


def worker(**changes):
    usual = WorkerStatistics(
        slot='worker_0',
        pid=PID,
        state='active',
        is_healthy=True,
        is_cordoned=False,
        is_being_replaced=False,
        restarts=0,
        last_exit='',
        last_error='',
        left_behind=0,
        silence=0.0,
        heartbeat_timeout=1.0,
        in_flight=0,
        started_at=0.0,
        busy=0.0,
    )
    return attrs.evolve(usual, **changes)


def stage(*workers, name='s', **changes):
    counters = {key: changes.pop(key, 0) for key in COUNTERS}
    usual = StageStatistics(
        name=name,
        node=f'/airside/{name}',
        state='active',
        workers_wanted=1,
        workers_active=1,
        values=counters,
        inputs_without_publisher=(),
        workers=workers or (worker(),),
    )
    return attrs.evolve(usual, **changes)


def values(status):
    return {each.key: each.value for each in status.values}


@pytest.fixture
def show():
    """Returns (level, message) by name, at a moment of the same diagnostics."""
    found = Diagnostics('/airside/manager', 0.0)

    def show(*stages, state='active', now=1.0):
        statuses = found.statuses(state, stages, 2, 1_500_000, now)
        return {each.name: (each.level, each.message) for each in statuses}

    show.statuses = lambda *stages, now=1.0: found.statuses('active', stages, 2, 1_500_000, now)
    return show


MANAGER, STAGE, WORKER = '/airside/manager', '/airside/s', '/airside/s/worker_0'


def test_a_healthy_pipeline_is_ok_everywhere(show):
    assert show(stage()) == {
        MANAGER: (OK, 'active'),
        STAGE: (OK, 'active'),
        WORKER: (OK, 'active'),
    }


# -- workers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('changes', 'level', 'message'),
    [
        ({'state': 'failed', 'last_error': 'no camera', 'last_exit': 'code 1'}, ERROR, 'no camera'),
        ({'state': 'failed', 'last_exit': 'code 1'}, ERROR, 'code 1'),
        ({'is_being_replaced': True, 'last_exit': 'code 1'}, WARN, 'code 1'),
        ({'is_being_replaced': True}, WARN, 'replacing'),
        ({'silence': 0.51}, STALE, 'no heartbeat for 0.51 s'),
        ({'silence': 0.5}, OK, 'active'),
        ({'silence': 3.0, 'is_healthy': False, 'state': 'starting'}, OK, 'starting'),
        ({'is_cordoned': True, 'state': 'inactive'}, WARN, 'cordoned: deactivated manually'),
        ({'message': 'dark', 'level': 'warn'}, WARN, 'dark'),
        ({'message': 'blind', 'level': 'error'}, ERROR, 'blind'),
        ({'message': 'fine', 'level': 'ok'}, OK, 'fine'),
        ({'state': 'standby'}, OK, 'standby'),
    ],
)
def test_a_worker_has_the_worst_that_is_known_of_it(show, changes, level, message):
    assert show(stage(worker(**changes)))[WORKER] == (level, message)


def test_a_restart_is_a_warning_for_a_while(show):
    """A worker is replaced within milliseconds; a tool looks once a second."""
    show(stage(), now=1.0)
    after = stage(worker(restarts=1, last_exit='exited with code 1', message='x', level='ok'))
    assert show(after, now=2.0)[WORKER] == (WARN, 'replaced: exited with code 1')
    assert show(after, now=2.0 + RECENT_WINDOW - 0.1)[WORKER][0] == WARN
    assert show(after, now=2.0 + 2 * RECENT_WINDOW)[WORKER] == (OK, 'x')


def test_a_workers_values_are_those_of_its_process(show, monkeypatch):
    monkeypatch.setattr(diagnostics, 'resident_size', lambda _pid: 12_340_000)
    times = {1.0: 5.0, 3.0: 6.0}
    for now, used in times.items():
        monkeypatch.setattr(diagnostics, 'processor_time', lambda _pid, used=used: used)
        each = worker(in_flight=2, processed='9', restarts=1, busy=now / 2, own={'lights': '3'})
        (_, _, status) = show.statuses(stage(each), now=now)
    assert values(status) == {
        'state': 'active',
        'pid': str(PID),
        'restarts': '1',
        'processed': '9',
        'in_flight': '2',
        'left_behind': '0',
        'output_dropped': '0',
        'age_s': '3.0',
        'busy_percent': '50.0',
        'cpu_percent': '50.0',
        'memory_mb': '12.3',
        'lights': '3',
    }
    assert status.hardware_id.endswith(f':{PID}')


def test_a_worker_without_a_process_has_no_load(show):
    each = worker(pid=None, started_at=None, is_healthy=False, state='finalized')
    (_, _, status) = show.statuses(stage(each))
    found = values(status)
    assert found['pid'] == ''
    keys = ('age_s', 'busy_percent', 'cpu_percent', 'memory_mb')
    assert {found[key] for key in keys} == {'0.0'}
    assert ':' not in status.hardware_id


def test_a_share_of_time_is_at_most_all_of_it(show):
    show.statuses(stage(worker(busy=0.0)), now=1.0)
    (_, _, status) = show.statuses(stage(worker(busy=5.0)), now=2.0)
    assert values(status)['busy_percent'] == '100.0'


def test_dropped_output_is_a_warning_for_a_while_unless_there_is_worse(show):
    show(stage(), now=1.0)
    after = worker(output_dropped=7)
    assert show(stage(after), now=2.0)[WORKER] == (WARN, '7 lines of its output were dropped')
    failed = attrs.evolve(after, state='failed', last_exit='code 1')
    assert show(stage(failed), now=2.1)[WORKER] == (ERROR, 'code 1')
    assert show(stage(after), now=2.0 + 2 * RECENT_WINDOW)[WORKER] == (OK, 'active')


# -- stages --------------------------------------------------------------------------------------


def test_a_stage_without_an_active_worker_is_an_error(show):
    assert show(stage(workers_active=0))[STAGE] == (ERROR, 'no worker is active')


def test_a_stage_that_starts_with_its_manager_is_no_error(show):
    each = stage(workers_active=0, state='inactive')
    assert show(each, state='activating')[STAGE] == (OK, 'inactive')


def test_a_stage_that_was_paused_alone_is_a_warning(show):
    each = stage(workers_active=0, state='inactive')
    assert show(each)[STAGE] == (WARN, 'paused')
    assert show(each)[MANAGER] == (WARN, 's: paused')


def test_unhealthy_workers_are_counted(show):
    workers = worker(), worker(slot='worker_1', is_cordoned=True), worker(slot='worker_2')
    assert show(stage(*workers))[STAGE] == (WARN, '1 of 3 workers unhealthy')


@pytest.mark.parametrize(
    ('key', 'text'),
    [
        ('dropped', '4 dropped'),
        ('quarantined', '4 quarantined'),
        ('refused', '4 refused'),
        ('lost', '4 lost on the way to the input'),
        ('outputs_lost', '4 outputs lost on the way to subscribers'),
        ('by_socket', '4 sent inline, as shared memory had no room'),
    ],
)
def test_what_a_stage_loses_is_a_warning_for_a_while(show, key, text):
    show(stage(**{key: 3}), now=1.0)
    assert show(stage(**{key: 7}), now=2.0)[STAGE] == (WARN, text)
    assert show(stage(**{key: 7}), now=2.0 + 2 * RECENT_WINDOW)[STAGE] == (OK, 'active')


def test_an_input_whose_publisher_has_gone_is_a_warning(show):
    each = stage(inputs_without_publisher=('/camera',))
    assert show(each)[STAGE] == (WARN, '/camera has no publisher any more')


def test_several_slots_with_a_state_each_are_a_warning(show):
    each = stage(worker(), worker(slot='worker_1'), separate_states=True)
    assert show(each)[STAGE] == (WARN, 'each of 2 slots has a state of its own')


def test_what_workers_report_is_in_the_message_of_their_stage_once(show):
    workers = [worker(slot=f'worker_{index}', message='dark', level='warn') for index in range(2)]
    assert show(stage(*workers))[STAGE] == (WARN, '2 of 2 workers unhealthy, dark')


def test_counters_of_two_stages_are_apart(show):
    show(stage(), stage(name='t'), now=1.0)
    found = show(stage(), stage(name='t', dropped=1), now=2.0)
    assert found[STAGE] == (OK, 'active')
    assert found['/airside/t'] == (WARN, '1 dropped')


def test_a_stage_shows_its_values(show):
    (_, status, _) = show.statuses(stage(dropped=3))
    assert values(status) == {'state': 'active', **dict.fromkeys(COUNTERS, '0'), 'dropped': '3'}


# -- the manager ---------------------------------------------------------------------------------


def test_the_manager_has_the_worst_level_and_names_the_stages(show):
    failed = stage(workers_active=0)
    paused = stage(name='t', state='inactive')
    assert show(failed, paused)[MANAGER] == (ERROR, 's: no worker is active; t: paused')


def test_a_paused_manager_is_a_warning(show):
    assert show(stage(state='inactive'), state='inactive')[MANAGER] == (WARN, 'paused')


def test_a_pipeline_that_is_paused_and_has_a_fault_shows_the_fault(show):
    each = stage(worker(state='failed', last_error='no camera'), state='inactive')
    level, message = show(each, state='inactive')[MANAGER]
    assert level == WARN
    assert message == 's: 1 of 1 workers unhealthy'


def test_the_manager_shows_the_whole_pipeline(show):
    stages = stage(worker(restarts=2)), stage(worker(restarts=1), name='t')
    found = values(show.statuses(*stages, now=5.0)[0])
    shown = {key: found[key] for key in ('stages', 'workers', 'restarts', 'spares', 'frames_mb')}
    assert shown == {
        'stages': '2',
        'workers': '2',
        'restarts': '3',
        'spares': '2',
        'frames_mb': '1.5',
    }
    assert found['age_s'] == '5.0'


def test_output_of_the_manager_that_nobody_reads_is_a_warning():
    found = Diagnostics('/airside/manager', 0.0)
    found.statuses('active', [stage()], 0, 0, 1.0, 0)
    (status, *_) = found.statuses('active', [stage()], 0, 0, 2.0, 12)
    assert (status.level, status.message) == (WARN, '12 lines of output were not read')
    assert values(status)['output_dropped'] == '12'


def test_the_summary_counts_active_workers_and_names_failed_ones():
    healthy = stage(workers_wanted=2, workers_active=2)
    assert summary_line('active', [healthy]) == 'active: 2 of 2 workers active'
    failed = stage(worker(state='failed'), name='t', workers_active=0)
    line = 'active: 2 of 3 workers active; failed: t/worker_0'
    assert summary_line('active', [healthy, failed]) == line
