# SPDX-License-Identifier: Apache-2.0
"""Parameters that are set while a pipeline runs, as by ``ros2 param set`` and rqt."""

from __future__ import annotations

import re

import pytest
from rcl_interfaces.srv import DescribeParameters
from support.configuring import stage
from support.observer import header, number_of

from worker_pipeline.testing import wait_for

SET = (True, '')
# A stage for each test.
SHARED = {
    'scaled': stage('Work', queue_size=1000, params={'seconds': 0.005}),
    'standing': stage('Echo'),
    'marked_1': stage('Work', workers=1, queue_size=1000, params={'mark': 'old'}),
    'marked_2': stage('Work', workers=2, queue_size=1000, params={'mark': 'old'}),
    'echo': stage('Echo', params={'gain': 2.0}),
    'sum': stage('Remembers'),
}


def slots(observer, name: str) -> dict[str, str]:
    """Return the states of a stage's workers, from the newest diagnostics."""
    prefix = f'/airside/{name}/'
    newest = observer.diagnostics[-1] if observer.diagnostics else {}
    return {
        key.removeprefix(prefix): next(each.value for each in status.values if each.key == 'state')
        for key, status in newest.items()
        if key.startswith(prefix)
    }


def wait_for_slots(observer, name: str, *states: str) -> None:
    expected = {f'worker_{index}': state for index, state in enumerate(states)}
    wait_for(
        lambda: slots(observer, name) == expected,
        f'{name}: {expected}',
        seen=lambda: slots(observer, name),
    )


def test_workers_are_added_and_removed(shared):
    """Removed workers finish their items first."""
    observer, manager = shared.observer, shared.manager
    answers = observer.collect('scaled/output')
    feed = observer.feeder('scaled/input')
    observer.wait_until_active('scaled', 1)
    assert observer.set_parameter('manager', 'scaled.workers', 4) == SET
    wait_for_slots(observer, 'scaled', *4 * ['active'])
    pids = {observer.pid_of(f'scaled/worker_{index}') for index in range(4)}
    for number in range(400):
        feed.publish(header(number))
    wait_for(lambda: len(answers) > 100, 'some answers')
    assert observer.set_parameter('manager', 'scaled.workers', 2) == SET
    wait_for(lambda: len(answers) == 400, 'all answers', seen=manager.show)
    assert [number_of(each) for each in answers] == list(range(400))
    assert {int(each.frame_id.split()[1]) for each in answers} == pids, manager.output
    wait_for_slots(observer, 'scaled', 'active', 'active')
    counts = {'accepted': 400, 'delivered': 400, 'dropped': 0, 'redelivered': 0}
    wait_for(
        lambda: {key: observer.count('scaled', key) for key in counts} == counts,
        f'the counts {counts}',
        seen=lambda: observer.values('scaled'),
    )
    assert not re.search(r'\[airside\.scaled\].* exited: ', manager.output)


def test_workers_are_added_again_before_the_removed_ones_have_exited(start, observer, tmp_path):
    """The last request counts."""
    gate = tmp_path / 'gate'
    gated = stage('Gated', workers=3, task_timeout=600.0, params={'gate': str(gate)})
    start({'stages': ['gated'], 'gated': gated})
    answers = observer.collect('gated/output')
    feed = observer.feeder('gated/input')
    observer.wait_until_active('gated', 3)
    for number in range(6):
        feed.publish(header(number))
    wait_for(lambda: observer.count('gated', 'in_flight') == 6, 'that all have something')
    for workers in (1, 2, 3):
        assert observer.set_parameter('manager', 'gated.workers', workers) == SET
    gate.touch()
    wait_for(lambda: len(answers) == 6, 'the answers')
    wait_for_slots(observer, 'gated', *3 * ['active'])
    assert observer.count('gated', 'redelivered') == 0


def test_standbys_are_added_and_removed(shared):
    """A standby becomes active if more workers are requested."""
    observer = shared.observer
    observer.wait_until_active('standing', 1)
    assert observer.set_parameter('manager', 'standing.standby', 1) == SET
    wait_for_slots(observer, 'standing', 'active', 'standby')
    before = observer.pid_of('standing/worker_1')
    assert observer.set_parameter('manager', 'standing.workers', 2) == SET
    wait_for_slots(observer, 'standing', 'active', 'active', 'standby')
    assert observer.pid_of('standing/worker_1') == before
    assert observer.set_parameter('manager', 'standing.workers', 1) == SET
    wait_for_slots(observer, 'standing', 'active', 'standby')
    assert observer.set_parameter('manager', 'standing.standby', 0) == SET
    wait_for_slots(observer, 'standing', 'active')


@pytest.mark.parametrize('workers', [1, 2])
def test_a_stages_own_parameter_reaches_all_its_workers(shared, workers):
    """Also later ones. Meanwhile items are processed in order, none of them twice."""
    observer, manager, name = shared.observer, shared.manager, f'marked_{workers}'
    answers = observer.collect(f'{name}/output')
    feed = observer.feeder(f'{name}/input')
    observer.wait_until_active(name, workers)
    before = {observer.pid_of(f'{name}/worker_{index}') for index in range(workers)}
    fed = 0

    def feed_until(fact, what: str) -> None:
        nonlocal fed
        while not fact():
            assert fed < 20_000, f'{what} did not come\n{manager.output}'
            for _ in range(10):
                feed.publish(header(fed))
                fed += 1
            wait_for(lambda least=fed - 10: len(answers) >= least, 'answers', seen=manager.show)

    feed_until(lambda: len(answers) > 50, 'answers')
    assert observer.set_parameter('manager', f'{name}.params.mark', 'new') == SET

    def is_done() -> bool:
        status = [observer.values(f'{name}/worker_{index}') for index in range(workers)]
        are_anew = before.isdisjoint(int(each.get('pid') or 0) for each in status)
        return are_anew and len(slots(observer, name)) == workers

    feed_until(is_done, 'other workers')
    wait_for(lambda: len(answers) == fed, 'all answers', seen=manager.show)
    assert [number_of(each) for each in answers] == list(range(fed))
    marks = [each.frame_id.split()[2] for each in answers]
    assert set(marks) == {'old', 'new'}
    assert marks[-1] == 'new'
    assert observer.count(name, 'redelivered') == 0


def test_concurrency_task_timeout_and_queue_size_can_be_changed(start, observer, tmp_path):
    """How much a worker holds, how long it may take, and how much waits."""
    work = stage(
        'Gated',
        queue_size=5,
        max_attempts=1,
        task_timeout=600.0,
        params={'gate': str(tmp_path / 'never')},
    )
    start({'stages': ['work'], 'work': work})
    feed = observer.feeder('work/input')
    observer.wait_until_active('work', 1)
    before = observer.pid_of('work/worker_0')
    assert observer.set_parameter('manager', 'work.concurrency', 3) == SET
    assert observer.set_parameter('manager', 'work.queue_size', 7) == SET
    wait_for(
        lambda: (
            int(observer.values('work/worker_0').get('pid') or before) != before
            and slots(observer, 'work') == {'worker_0': 'active'}
        ),
        'another worker',
    )
    for number in range(12):
        feed.publish(header(number))
    wait_for(lambda: observer.count('work', 'dropped') == 2, '12 items, 3 held, 7 that wait')
    assert observer.values('work/worker_0')['in_flight'] == '3'
    assert observer.count('work', 'queued') == 7
    assert observer.set_parameter('manager', 'work.task_timeout', 0.3) == SET
    wait_for(lambda: observer.count('work', 'quarantined') > 0, 'one that took too long')


def test_invalid_values_are_rejected_with_a_reason(shared):
    """Nothing changes then."""
    observer = shared.observer
    observer.wait_until_active('echo', 1)
    before = observer.pid_of('echo/worker_0')
    for name, value, reason in (
        ('echo.workers', 0, 'Parameter echo.workers out of range. Min: 1, Max: 100, value: 0'),
        ('echo.workers', 'two', "echo.workers: found 'two' (a string); allowed: an int from 1 to"),
        ('echo.task_timeout', -1.0, 'Parameter echo.task_timeout out of range'),
        ('echo.params.gain', 'much', "echo.params.gain: found 'much' (a string); allowed: a float"),
        ('echo.params.gian', 1.0, "echo.params.gian: unknown parameter; did you mean 'gain'?"),
        ('echo.wrokers', 2, "echo.wrokers: unknown key; did you mean 'workers'?"),
        ('ehco.workers', 2, "ehco.workers: 'ehco' is not in stages; did you mean 'echo'?"),
        ('echo.plugin', 'a:B', 'Trying to set a read-only parameter: echo.plugin.'),
        ('spares', 3, 'Trying to set a read-only parameter: spares.'),
        ('stages', ['echo'], 'Trying to set a read-only parameter: stages.'),
        # Not given, and so not declared.
        ('echo.input', '/elsewhere', 'echo.input: cannot be changed while it runs'),
        ('echo.context.odometry', '/odometry', 'echo.context.odometry: cannot be changed while'),
    ):
        done, message = observer.set_parameter('manager', name, value)
        assert not done
        assert message.startswith(reason), message
    # rclpy 9.1.2 describes a dynamically typed parameter by the type of a rejected value.
    request = DescribeParameters.Request(names=['echo.workers', 'echo.params.gain'])
    described = observer.call(DescribeParameters, 'manager/describe_parameters', request)
    assert [each.type for each in described.descriptors] == [2, 3]
    # An int stands for a float.
    assert observer.set_parameter('manager', 'echo.task_timeout', 4) == SET
    assert observer.set_parameter('manager', 'echo.task_timeout', 5.0) == SET
    assert observer.pid_of('echo/worker_0') == before
    assert slots(observer, 'echo') == {'worker_0': 'active'}


def test_a_stateful_stage_cannot_get_a_standby(shared):
    """Nor later."""
    observer = shared.observer
    observer.wait_until_active('sum', 1)
    done, message = observer.set_parameter('manager', 'sum.standby', 1)
    assert not done
    assert 'standby' in message


def test_parameters_are_described(shared):
    """With their meaning and their allowed values."""
    observer = shared.observer
    observer.wait_until_active('echo', 1)
    names = ['echo.workers', 'echo.task_timeout', 'echo.overflow', 'echo.params.gain', 'spares']
    request = DescribeParameters.Request(names=names)
    answer = observer.call(DescribeParameters, 'manager/describe_parameters', request)
    workers, timeout, overflow, gain, spares = answer.descriptors
    assert workers.description == 'number of active workers'
    assert (workers.integer_range[0].from_value, workers.integer_range[0].to_value) == (1, 100)
    assert timeout.floating_point_range[0].from_value == 0.01
    assert 'drop_oldest' in overflow.additional_constraints
    assert gain.additional_constraints == 'allowed: a float'
    assert [each.read_only for each in answer.descriptors] == [False, False, True, False, True]
    assert [each.type for each in answer.descriptors] == [2, 3, 4, 3, 2]
    assert spares.description == 'processes kept ready to become any worker'


def test_changes_are_not_persisted_across_manager_restarts(start, observer):
    """As with any other node."""
    parameters = {'stages': ['echo'], 'echo': stage('Echo')}
    manager = start(parameters)
    observer.wait_until_active('echo', 1)
    assert observer.set_parameter('manager', 'echo.workers', 3) == SET
    wait_for_slots(observer, 'echo', *3 * ['active'])
    kept = observer.pid_of('echo/worker_0')
    manager.process.kill()
    manager.wait()
    observer.diagnostics.clear()
    manager.start_again()
    wait_for_slots(observer, 'echo', 'active')
    assert observer.pid_of('echo/worker_0') == kept
