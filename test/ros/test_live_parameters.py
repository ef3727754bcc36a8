"""Parameters that are set while a pipeline runs, as ``ros2 param set`` and rqt do."""

from __future__ import annotations

import pytest
from rcl_interfaces.srv import DescribeParameters
from support.configuring import stage
from support.observing import header, number_of

from worker_pipeline.testing import wait_for

SET = (True, '')


def slots(observer, name: str) -> dict[str, str]:
    """The states of a stage's workers, by the newest diagnostics."""
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


def test_more_workers_and_fewer(start, observer):
    """Up: others come to work. Down: those that go finish what they hold first."""
    manager = start(
        {
            'stages': ['work'],
            'work': stage('Work', queue_size=1000, params={'seconds': 0.005}),
        }
    )
    answers = observer.collect('work/output')
    feed = observer.feeder('work/input')
    observer.wait_until_active('work', 1)
    assert observer.set_parameter('manager', 'work.workers', 4) == SET
    wait_for_slots(observer, 'work', *4 * ['active'])
    pids = {observer.pid_of(f'work/worker_{index}') for index in range(4)}
    for number in range(400):
        feed.publish(header(number))
    wait_for(lambda: len(answers) > 100, 'some answers')
    assert observer.set_parameter('manager', 'work.workers', 2) == SET
    wait_for(lambda: len(answers) == 400, 'all answers', seen=manager.show)
    assert [number_of(each) for each in answers] == list(range(400))
    assert {int(each.frame_id.split()[1]) for each in answers} == pids, manager.output
    wait_for_slots(observer, 'work', 'active', 'active')
    counts = {'accepted': 400, 'delivered': 400, 'dropped': 0, 'redelivered': 0}
    wait_for(
        lambda: {key: observer.count('work', key) for key in counts} == counts,
        f'the counts {counts}',
        seen=lambda: observer.values('work'),
    )
    assert observer.values('manager')['restarts'] == '0'
    assert ' ended: ' not in manager.output


def test_fewer_and_more_again_before_they_are_gone(start, observer):
    """Whatever is asked for last holds."""
    start({'stages': ['work'], 'work': stage('Work', workers=3, params={'seconds': 1.5})})
    answers = observer.collect('work/output')
    feed = observer.feeder('work/input')
    observer.wait_until_active('work', 3)
    for number in range(6):
        feed.publish(header(number))
    wait_for(lambda: observer.count('work', 'in_flight') == 6, 'that all have something')
    for workers in (1, 2, 3):
        assert observer.set_parameter('manager', 'work.workers', workers) == SET
    wait_for(lambda: len(answers) == 6, 'the answers')
    wait_for_slots(observer, 'work', *3 * ['active'])
    assert observer.count('work', 'redelivered') == 0


def test_standby_workers_come_and_go(start, observer):
    """One is there when it is asked for; asked to work, it does."""
    start({'stages': ['echo'], 'echo': stage('Echo')})
    observer.wait_until_active('echo', 1)
    assert observer.set_parameter('manager', 'echo.standby', 1) == SET
    wait_for_slots(observer, 'echo', 'active', 'standby')
    before = observer.pid_of('echo/worker_1')
    assert observer.set_parameter('manager', 'echo.workers', 2) == SET
    wait_for_slots(observer, 'echo', 'active', 'active', 'standby')
    assert observer.pid_of('echo/worker_1') == before
    assert observer.set_parameter('manager', 'echo.workers', 1) == SET
    wait_for_slots(observer, 'echo', 'active', 'standby')
    assert observer.set_parameter('manager', 'echo.standby', 0) == SET
    wait_for_slots(observer, 'echo', 'active')


@pytest.mark.parametrize('workers', [1, 2])
def test_a_stages_own_parameter_reaches_all_its_workers(start, observer, workers):
    """And later ones. Items pass meanwhile, in order, none of them twice."""
    manager = start(
        {
            'stages': ['work'],
            'work': stage('Work', workers=workers, queue_size=1000, params={'mark': 'old'}),
        }
    )
    answers = observer.collect('work/output')
    feed = observer.feeder('work/input')
    observer.wait_until_active('work', workers)
    before = {observer.pid_of(f'work/worker_{index}') for index in range(workers)}
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
    assert observer.set_parameter('manager', 'work.params.mark', 'new') == SET

    def is_done() -> bool:
        status = [observer.values(f'work/worker_{index}') for index in range(workers)]
        are_anew = before.isdisjoint(int(each.get('pid') or 0) for each in status)
        return are_anew and len(slots(observer, 'work')) == workers

    feed_until(is_done, 'other workers')
    wait_for(lambda: len(answers) == fed, 'all answers', seen=manager.show)
    assert [number_of(each) for each in answers] == list(range(fed))
    marks = [each.frame_id.split()[2] for each in answers]
    assert set(marks) == {'old', 'new'}
    assert marks[-1] == 'new'
    assert observer.count('work', 'redelivered') == 0


def test_concurrency_task_timeout_and_queue_size(start, observer):
    """How much a worker holds, how long it may take, and how much waits."""
    start(
        {
            'stages': ['work'],
            'work': stage('Work', queue_size=5, max_attempts=1, params={'seconds': 2.0}),
        }
    )
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


def test_what_cannot_be_is_refused_with_the_reason(start, observer):
    """Nothing has changed then."""
    start({'stages': ['echo'], 'echo': stage('Echo', params={'gain': 2.0})})
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
        done, told = observer.set_parameter('manager', name, value)
        assert not done
        assert told.startswith(reason), told
    # An int stands for a float.
    assert observer.set_parameter('manager', 'echo.task_timeout', 4) == SET
    assert observer.pid_of('echo/worker_0') == before
    assert slots(observer, 'echo') == {'worker_0': 'active'}


def test_a_stage_that_remembers_has_no_standby(start, observer):
    """Nor later."""
    start({'stages': ['sum'], 'sum': stage('Remembers')})
    observer.wait_until_active('sum', 1)
    done, told = observer.set_parameter('manager', 'sum.standby', 1)
    assert not done
    assert 'standby' in told


def test_parameters_are_described(start, observer):
    """Each with what it means and what is allowed."""
    start({'stages': ['echo'], 'echo': stage('Echo', workers=2)})
    observer.wait_until_active('echo', 2)
    names = ['echo.workers', 'echo.task_timeout', 'echo.overflow', 'echo.params.gain', 'spares']
    request = DescribeParameters.Request(names=names)
    answer = observer.ask(DescribeParameters, 'manager/describe_parameters', request)
    workers, timeout, overflow, gain, spares = answer.descriptors
    assert workers.description == 'how many workers'
    assert (workers.integer_range[0].from_value, workers.integer_range[0].to_value) == (1, 100)
    assert timeout.floating_point_range[0].from_value == 0.01
    assert 'drop_oldest' in overflow.additional_constraints
    assert gain.additional_constraints == 'allowed: a float'
    assert [each.read_only for each in answer.descriptors] == [False, False, True, False, True]
    assert [each.type for each in answer.descriptors] == [2, 3, 4, 3, 2]
    assert spares.description == 'processes kept ready to become any worker'


def test_the_next_manager_does_not_know_what_was_set(start, observer):
    """It goes by its own parameters, as any node that is started again."""
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
