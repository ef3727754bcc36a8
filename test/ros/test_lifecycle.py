# SPDX-License-Identifier: Apache-2.0
"""Lifecycle nodes at every level: pause, resume, cordon, shut down by the standard services."""

from __future__ import annotations

from lifecycle_msgs.msg import TransitionEvent
from support.configuring import stage
from support.observer import header, number_of

from worker_pipeline.testing import wait_for

# The tests leave it as they find it: every node active.
SHARED = {
    'first': stage('Echo', workers=2),
    'second': stage('Echo', input='first'),
    'echo': stage('Echo', workers=2, queue_size=100, params={'gain': 2.0}),
    'work': stage('Work', task_timeout=600.0, params={'seconds': 3.0}),
}


def test_every_node_of_the_contract_is_an_active_lifecycle_node(shared):
    """Manager, stages and workers are in the graph under the names of the contract."""
    observer = shared.observer
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


def test_a_paused_stage_keeps_its_queue(shared):
    """Deactivated it accepts items but processes none; activated it processes those that wait."""
    observer = shared.observer
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


def test_each_step_of_a_transition_is_published(shared):
    """For rqt and lifecycle tools."""
    observer = shared.observer
    events = {
        node: observer.collect(f'{node}/transition_event', TransitionEvent)
        for node in ('manager', 'echo', 'echo/worker_0')
    }
    observer.wait_until_active('echo', 2)
    for node in events:
        topic = f'/airside/{node}/transition_event'
        wait_for(lambda topic=topic: observer.node.count_publishers(topic), topic)

    def are_matched() -> bool:
        """Return whether an event came on each topic, of a transition there and back."""
        for each in ('deactivate', 'activate'):
            assert observer.change_state('manager', each)
        return all(events.values())

    wait_for(are_matched, 'an event on each topic')
    wait_for(
        lambda: all(each[-1].goal_state.label == 'active' for each in events.values()),
        'the last step on each topic',
    )
    for each in events.values():
        each.clear()
    assert observer.change_state('manager', 'deactivate')
    steps = [('active', 'deactivating'), ('deactivating', 'inactive')]
    for node, messages in events.items():

        def seen(messages: list = messages) -> list[tuple[str, str]]:
            return [(each.start_state.label, each.goal_state.label) for each in messages]

        wait_for(lambda seen=seen: seen() == steps, f'the steps of {node}', seen=seen)
    assert observer.change_state('manager', 'activate')


def test_the_manager_pauses_and_resumes_everything(shared):
    """Transitions cascade from the manager to the stages to the workers."""
    observer = shared.observer
    observer.wait_until_active('first', 2)
    observer.wait_until_active('second', 1)
    nodes = ('manager', 'first', 'second', 'first/worker_0', 'second/worker_0')
    assert observer.change_state('manager', 'deactivate')
    assert {observer.state_of(node) for node in nodes} == {'inactive'}
    assert observer.change_state('manager', 'activate')
    assert {observer.state_of(node) for node in nodes} == {'active'}


def test_a_busy_worker_answers_get_state(shared):
    """Heartbeats and services continue while ``process`` runs, without ever sleeping."""
    observer = shared.observer
    answers = observer.collect('work/output')
    feed = observer.feeder('work/input')
    observer.wait_until_active('work', 1)
    observer.pid_of('work/worker_0')
    number = 0

    def is_seen_busy() -> bool:
        """Return whether all was seen while one item was in process; on a slow machine, again."""
        nonlocal number
        number += 1
        feed.publish(header(number))
        wait_for(lambda: is_working(observer), 'a heartbeat with an item')
        observer.heartbeats.clear()
        assert observer.state_of('work/worker_0') == 'active'
        wait_for(
            lambda: sum(each.name == 'work/worker_0' for each in observer.heartbeats) >= 5,
            'heartbeats of a busy worker',
        )
        is_busy = len(answers) < number
        wait_for(lambda: len(answers) == number, 'the answer')
        return is_busy

    wait_for(is_seen_busy, 'an item that takes longer than five heartbeats')


def is_working(observer) -> bool:
    """Return whether the newest heartbeat of the busy worker shows an item."""
    newest = next(each for each in reversed(observer.heartbeats) if each.name == 'work/worker_0')
    return {each.key: each.value for each in newest.values}['in_flight'] == '1'


def test_shutdown_of_the_manager_by_its_service_ends_the_run(start, observer):
    """It shuts down cleanly."""
    manager = start({'stages': ['echo'], 'echo': stage('Echo', workers=2)})
    observer.wait_until_active('echo', 2)
    observer.change_state('manager', 'shutdown')
    assert manager.wait() == 0, manager.output
    assert manager.relatives() == []


def test_an_impossible_transition_is_rejected_and_logged(shared):
    """The log lists the possible ones."""
    observer, manager = shared.observer, shared.manager
    observer.wait_until_active('echo', 2)
    assert not observer.change_state('echo', 'configure')
    message = 'Cannot configure: state is active; possible now: deactivate, shutdown'
    wait_for(lambda: message in manager.output, 'the log message')


def test_workers_stopped_by_cleanup_come_back_with_configure(shared):
    """Active, inactive, unconfigured, and back."""
    observer, manager = shared.observer, shared.manager
    answers = observer.collect('echo/output')
    observer.wait_until_active('echo', 2)
    pid = observer.pid_of('echo/worker_0')
    assert observer.change_state('manager', 'deactivate')
    assert observer.change_state('manager', 'cleanup')
    wait_for(lambda: pid not in [each.pid for each in manager.relatives()], 'the worker gone')
    assert observer.change_state('manager', 'configure')
    assert observer.change_state('manager', 'activate')
    for name, workers in (('first', 2), ('second', 1), ('echo', 2), ('work', 1)):
        observer.wait_until_active(name, workers)
    feed = observer.feeder('echo/input')
    feed.publish(header(1000))
    wait_for(lambda: len(answers) == 1, 'an answer')


def test_a_read_only_parameter_is_rejected_with_a_reason(shared):
    """Instead of being accepted without effect."""
    observer = shared.observer
    observer.wait_until_active('echo', 2)
    assert observer.set_parameter('manager', 'echo.period', 4.0) == (
        False,
        'Trying to set a read-only parameter: echo.period.',
    )
    assert observer.set_parameter('echo/worker_0', 'gain', 3.0) == (
        False,
        'gain: cannot be changed while it runs',
    )


def test_linked_stages_are_cleaned_up_and_configured_again_and_again(start, observer):
    """An event of an endpoint that is destroyed ended the process with SIGSEGV now and then."""
    stages = {'a': stage('Echo'), 'b': stage('Echo', input='a'), 'c': stage('Echo', input='b')}
    manager = start({'stages': [*stages], 'spares': 0, **stages})
    for name in 'abc':
        observer.wait_until_active(name, 1)
    pid = manager.manager_pid
    for _ in range(8):
        for label, state in (
            ('deactivate', 'inactive'),
            ('cleanup', 'unconfigured'),
            ('configure', 'inactive'),
            ('activate', 'active'),
        ):
            assert observer.change_state('manager', label), manager.output
            wait_for(lambda state=state: observer.state_of('manager') == state, state)
    assert manager.manager_pid == pid
