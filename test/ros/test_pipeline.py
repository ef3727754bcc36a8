# SPDX-License-Identifier: Apache-2.0
"""A pipeline of real processes, from end to end."""

from __future__ import annotations

import itertools
import os
import signal

from diagnostic_msgs.msg import DiagnosticStatus
from std_msgs.msg import Header
from support.configuring import stage
from support.observer import header, number_of

from worker_pipeline.ros import qos
from worker_pipeline.testing import wait_for

# A stage for each test, or several.
SHARED = {
    'echo': stage('Echo', workers=2, queue_size=100),
    'busy': stage('Work', workers=3, queue_size=1000),
    'replaced': stage('Work', queue_size=1000, params={'mark': 'ours'}),
    'sparse': stage('Sparse', workers=2, queue_size=100),
    'count': stage('Counting', period=0.1, params={'items': 1_000_000}),
    'reference': stage('Echo', queue_size=100),
    'look': stage('WithContext', workers=2, queue_size=100, context={'reference': 'reference'}),
    'earlier': stage('Echo', queue_size=100),
    'late': stage('WithContext', queue_size=100, context={'reference': 'earlier'}),
    'observed': stage('Sparse', queue_size=1000),
    'camera': stage('Capturing', period=0.02),
    'behind': stage('Echo', input='camera', overflow='block'),
}


def test_echo_answers_each_item_on_its_input(shared):
    """The example of the contract."""
    observer = shared.observer
    answers = observer.collect('echo/output')
    feed = observer.feeder('echo/input')
    observer.wait_until_active('echo', 2)
    for number in range(100):
        feed.publish(header(number))
    wait_for(lambda: len(answers) == 100, '100 answers', seen=lambda: len(answers))
    assert [number_of(each) for each in answers] == list(range(100))
    assert [each.frame_id for each in answers] == [str(number) for number in range(100)]


def test_the_death_of_a_busy_worker_neither_loses_nor_doubles_nor_reorders_items(shared):
    """SIGKILL in the middle of 500 items: each is answered once, in order."""
    observer = shared.observer
    answers = observer.collect('busy/output')
    feed = observer.feeder('busy/input')
    observer.wait_until_active('busy', 3)
    victim = observer.pid_of('busy/worker_1')
    bystanders = {observer.pid_of(f'busy/worker_{index}') for index in (0, 2)}
    for number in range(500):
        feed.publish(header(number))
    wait_for(lambda: len(answers) > 100, 'some answers before the kill')
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: len(answers) >= 500, '500 answers', seen=lambda: len(answers))
    assert [number_of(each) for each in answers] == list(range(500))
    values = wait_for(
        lambda: (
            observer.count('busy', 'completed') == 500
            and observer.count('busy', 'workers_active') == 3
            and observer.values('busy/worker_1')
        ),
        'diagnostics of the finished work',
    )
    assert values['restarts'] == '1'
    assert int(values['pid']) != victim
    assert {observer.pid_of(f'busy/worker_{index}') for index in (0, 2)} == bystanders
    assert observer.values('busy/worker_0')['restarts'] == '0'
    # The items it held at that moment, if any; those it had answered count.
    assert observer.count('busy', 'redelivered') <= 2
    assert observer.count('busy', 'dropped') == observer.count('busy', 'quarantined') == 0


def test_a_replacement_has_the_name_and_parameters_of_the_dead_worker(shared):
    """And its topics; it is active and processes items in another process."""
    observer = shared.observer
    answers = observer.collect('replaced/output')
    feed = observer.feeder('replaced/input')
    observer.wait_until_active('replaced', 1)
    first = observer.pid_of('replaced/worker_0')
    os.kill(first, signal.SIGKILL)
    feed.publish(header(1))
    answer = wait_for(lambda: answers, 'an answer of the replacement')[0]
    number, pid, mark = answer.frame_id.split()
    assert (number, mark) == ('1', 'ours')
    assert int(pid) != first
    assert observer.state_of('replaced/worker_0') == 'active'


def test_items_without_an_output_do_not_block_later_ones(shared):
    """A stage may return None for an item."""
    observer = shared.observer
    answers = observer.collect('sparse/output')
    feed = observer.feeder('sparse/input')
    observer.wait_until_active('sparse', 2)
    for number in range(30):
        feed.publish(header(number))
    wait_for(lambda: observer.count('sparse', 'completed') == 30, '30 completed items')
    assert [number_of(each) for each in answers] == list(range(0, 30, 3))


def test_an_exhausted_source_ends_the_run_when_all_items_are_finished(start, observer):
    """`EndOfStream` with `exit_when_done`: every item passes every stage; exit code 0."""
    manager = start(
        {
            'stages': ['count', 'work'],
            'exit_when_done': True,
            'count': stage('Counting', params={'items': 50}),
            'work': stage('Work', input='count', overflow='block', queue_size=4, workers=2),
        }
    )
    answers = observer.collect('work/output')
    assert manager.wait() == 0, manager.output
    for name in ('count', 'work'):
        assert f'{name}: 50 accepted, 50 completed, 0 dropped, 0 quarantined' in manager.output
    stamps = [(each.stamp.sec, each.stamp.nanosec) for each in answers]
    # The observer may have been found only after the first items had passed.
    assert stamps == sorted(stamps)
    assert manager.relatives() == []


def test_a_source_that_is_only_a_context_does_not_delay_the_end(start):
    """It may never be exhausted."""
    manager = start(
        {
            'stages': ['count', 'vehicle', 'look'],
            'exit_when_done': True,
            'count': stage('Counting', params={'items': 30}),
            'vehicle': stage('Counting', period=0.02, params={'items': 1_000_000}),
            'look': stage(
                'WithContext', input='count', overflow='block', context={'reference': 'vehicle'}
            ),
        }
    )
    assert manager.wait() == 0, manager.output
    assert 'look: 30 accepted, 30 completed' in manager.output


def test_a_source_is_asked_once_per_period(shared):
    """The capture times asked for are `period` seconds apart."""
    observer = shared.observer
    answers = observer.collect('count/output')
    wait_for(lambda: len(answers) >= 12, '12 answers', seen=lambda: len(answers))
    since = [float(each.frame_id.split()[1]) for each in answers]
    assert all(each.frame_id.startswith('tick ') for each in answers)
    steps = [after - before for before, after in itertools.pairwise(since)]
    assert 0.05 < sorted(steps)[len(steps) // 2] < 0.2


def test_a_context_reaches_every_worker(shared):
    """No worker consumes it: each sees the messages before and after the stamp of an item."""
    observer = shared.observer
    answers = observer.collect('look/output')
    references = observer.feeder('reference/input')
    items = observer.feeder('look/input')
    observer.wait_until_active('reference', 1)
    observer.wait_until_active('look', 2)
    for number in (0, 100, 200, 300):
        references.publish(header(number))
    for number in (50, 150, 250):
        items.publish(header(number))
    wait_for(lambda: len(answers) == 3, '3 answers', seen=lambda: answers)
    assert [each.frame_id for each in answers] == ['0 100', '100 200', '200 300']


def test_a_replacement_receives_earlier_messages_of_a_context(shared):
    """The last ones are kept for late workers."""
    observer = shared.observer
    answers = observer.collect('late/output')
    references = observer.feeder('earlier/input')
    items = observer.feeder('late/input')
    observer.wait_until_active('earlier', 1)
    observer.wait_until_active('late', 1)
    for number in (0, 100):
        references.publish(header(number))
    wait_for(lambda: observer.count('earlier', 'completed') == 2, 'the references passed on')
    os.kill(observer.pid_of('late/worker_0'), signal.SIGKILL)
    items.publish(header(50))
    wait_for(lambda: answers, 'an answer of the replacement')
    assert answers[0].frame_id == '0 100'


def test_the_items_and_answers_of_a_worker_can_be_observed(shared):
    """On its topics, as `ros2 topic echo` does, from the discovery of the subscriber on."""
    observer = shared.observer
    observer.wait_until_active('observed', 1)
    feed = observer.feeder('observed/input')
    given = observer.collect('observed/worker_0/work')
    results = observer.collect('observed/worker_0/result')
    outcomes = observer.collect('observed/worker_0/outcome', DiagnosticStatus)
    numbers = itertools.count()

    def shown() -> bool:
        feed.publish(header(next(numbers)))
        return bool(given and results and outcomes)

    wait_for(shown, 'an item, its answer, and a note of none')
    assert all(each.frame_id == str(number_of(each)) for each in (*given, *results))
    assert {number_of(each) % 3 for each in results} == {0}
    assert {each.message for each in outcomes} == {'no output'}
    assert {each.name for each in outcomes} == {'observed/worker_0'}


def test_a_source_stamps_its_items_and_publishes_additional_topics(shared):
    """An item is identified by its own stamp, by either way."""
    observer = shared.observer
    outputs, answers = observer.collect('camera/output'), observer.collect('behind/output')
    seen = observer.collect('camera/seen')
    wait_for(lambda: min(map(len, (outputs, answers, seen))) > 30, 'items on all topics')
    home = []
    observer.node.create_subscription(Header, 'camera/home', home.append, qos.latched(1))
    wait_for(lambda: home, 'what is latched')
    assert [each.frame_id for each in home] == ['here']
    now = observer.node.get_clock().now().nanoseconds
    taken = answers[-1].stamp.sec * 10**9 + answers[-1].stamp.nanosec
    assert 0.4e9 < now - taken < 60e9
    numbers = [int(each.frame_id) for each in answers]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    by_number = {each.frame_id: each for each in outputs}
    assert all(by_number.get(each.frame_id, each) == each for each in answers)
    assert observer.count('behind', 'duplicates') == observer.count('behind', 'refused') == 0
