"""Lifecycle nodes all the way down: pause, resume, cordon, shut down by the standard services."""

from __future__ import annotations

from lifecycle_msgs.msg import TransitionEvent
from support.configuring import stage
from support.observing import header, number_of

from worker_pipeline.testing import wait_for


def test_every_node_of_the_contract_is_an_active_lifecycle_node(start, observer):
    """Manager, stages and workers stand in the graph under the contract's names."""
    start(
        {
            'stages': ['first', 'second'],
            'first': stage('Echo', workers=2),
            'second': stage('Echo', input='first'),
        }
    )
    observer.wait_until_active('first', 2)
    observer.wait_until_active('second', 1)
    for node in (
        'manager',
        'first',
        'first/worker_0',
        'first/worker_1',
        'second',
        'second/worker_0',
    ):
        assert observer.state_of(node) == 'active', node
    for topic in (
        'first/output',
        'first/input',
        'second/output',
        'first/worker_0/work',
        'first/worker_1/result',
    ):
        assert observer.types_of(topic) == ['std_msgs/msg/Header'], topic
    assert observer.types_of('heartbeats') == ['diagnostic_msgs/msg/DiagnosticStatus']
    assert observer.types_of('quarantine') == ['diagnostic_msgs/msg/DiagnosticStatus']
    wait_for(
        lambda: 'second' in observer.listeners_of('first/output'),
        'the second stage listening to the first',
        seen=lambda: observer.listeners_of('first/output'),
    )


def test_a_paused_stage_keeps_its_queue(start, observer):
    """Deactivated, it accepts and does not work; activated, it does what waited."""
    start({'stages': ['echo'], 'echo': stage('Echo', workers=2, queue_size=100)})
    answers = observer.collect('echo/output')
    feed = observer.feeder('echo/input')
    observer.wait_until_active('echo', 2)
    assert observer.change_state('echo', 'deactivate')
    assert observer.state_of('echo') == observer.state_of('echo/worker_0') == 'inactive'
    for number in range(50):
        feed.publish(header(number))
    wait_for(lambda: observer.count('echo', 'queued') == 50, '50 queued items')
    assert answers == []
    assert observer.change_state('echo', 'activate')
    wait_for(lambda: len(answers) == 50, '50 answers', seen=lambda: len(answers))
    assert [number_of(each) for each in answers] == list(range(50))


def test_each_step_of_a_transition_is_published(start, observer):
    """As rqt and lifecycle tools follow it."""
    start({'stages': ['echo'], 'echo': stage('Echo')})
    events = {
        node: observer.collect(f'{node}/transition_event', TransitionEvent)
        for node in ('manager', 'echo', 'echo/worker_0')
    }
    observer.wait_until_active('echo', 1)
    for each in events.values():
        each.clear()
    assert observer.change_state('manager', 'deactivate')
    steps = [('active', 'deactivating'), ('deactivating', 'inactive')]
    for node, told in events.items():

        def seen(told: list = told) -> list[tuple[str, str]]:
            return [(each.start_state.label, each.goal_state.label) for each in told]

        wait_for(lambda seen=seen: seen() == steps, f'the steps of {node}', seen=seen)


def test_the_manager_pauses_and_resumes_everything(start, observer):
    """Transitions cascade from the manager to the stages to the workers."""
    start(
        {
            'stages': ['first', 'second'],
            'first': stage('Echo'),
            'second': stage('Echo', input='first'),
        }
    )
    observer.wait_until_active('first', 1)
    observer.wait_until_active('second', 1)
    nodes = ('manager', 'first', 'second', 'first/worker_0', 'second/worker_0')
    assert observer.change_state('manager', 'deactivate')
    assert {observer.state_of(node) for node in nodes} == {'inactive'}
    assert observer.change_state('manager', 'activate')
    assert {observer.state_of(node) for node in nodes} == {'active'}


def test_a_busy_worker_answers_for_its_state(start, observer):
    """`process` runs beside the executor: heartbeats and services go on while it works."""
    start({'stages': ['work'], 'work': stage('Work', task_timeout=60.0, params={'seconds': 3.0})})
    feed = observer.feeder('work/input')
    observer.wait_until_active('work', 1)
    feed.publish(header(1))
    wait_for(lambda: observer.count('work', 'in_flight') == 1, 'an item in work')
    observer.heartbeats.clear()
    assert observer.state_of('work/worker_0') == 'active'
    wait_for(lambda: len(observer.heartbeats) >= 5, 'heartbeats of a busy worker', 2.0)
    assert observer.count('work', 'completed') == 0


def test_shutting_the_manager_down_by_its_service_ends_the_run(start, observer):
    """The lifecycle is a remote control: shutdown is the end, in order."""
    manager = start({'stages': ['echo'], 'echo': stage('Echo', workers=2)})
    observer.wait_until_active('echo', 2)
    observer.change_state('manager', 'shutdown')
    assert manager.wait() == 0, manager.output
    assert manager.relatives() == []


def test_an_impossible_transition_is_refused_and_told(start, observer):
    """The log says what is possible instead."""
    manager = start({'stages': ['echo'], 'echo': stage('Echo')})
    observer.wait_until_active('echo', 1)
    assert not observer.change_state('echo', 'configure')
    told = 'Cannot configure: state is active; possible now: deactivate, shutdown'
    wait_for(lambda: told in manager.output, 'a word of it')


def test_workers_stopped_by_cleanup_come_back_with_configure(start, observer):
    """Active, inactive, unconfigured, and up again."""
    manager = start({'stages': ['echo'], 'echo': stage('Echo', queue_size=50)})
    answers = observer.collect('echo/output')
    observer.wait_until_active('echo', 1)
    pid = observer.pid_of('echo/worker_0')
    assert observer.change_state('manager', 'deactivate')
    assert observer.change_state('manager', 'cleanup')
    wait_for(lambda: pid not in [each.pid for each in manager.relatives()], 'the worker gone')
    assert observer.change_state('manager', 'configure')
    assert observer.change_state('manager', 'activate')
    observer.wait_until_active('echo', 1)
    feed = observer.feeder('echo/input')
    feed.publish(header(1))
    wait_for(lambda: len(answers) == 1, 'an answer')


def test_a_parameter_that_cannot_be_changed_is_refused_with_the_reason(start, observer):
    """Rather than accepted without effect."""
    start({'stages': ['echo'], 'echo': stage('Echo', params={'gain': 2.0})})
    observer.wait_until_active('echo', 1)
    assert observer.set_parameter('manager', 'echo.period', 4.0) == (
        False,
        'Trying to set a read-only parameter: echo.period.',
    )
    assert observer.set_parameter('echo/worker_0', 'gain', 3.0) == (
        False,
        'gain: cannot be changed while it runs',
    )
