"""A pipeline of real processes, from end to end."""

from __future__ import annotations

import itertools
import os
import signal

from diagnostic_msgs.msg import DiagnosticStatus
from std_msgs.msg import Header
from support.configuring import stage
from support.observing import header, number_of

from worker_pipeline.nodes import qos
from worker_pipeline.testing import wait_for


def test_echo_answers_what_is_fed_to_its_input(start, observer):
    """The contract's example: items in by `<stage>/input`, answers out by `<stage>/output`."""
    start({'stages': ['echo'], 'echo': stage('Echo', workers=2, queue_size=100)})
    answers = observer.collect('echo/output')
    feed = observer.feeder('echo/input')
    observer.wait_until_active('echo', 2)
    for number in range(100):
        feed.publish(header(number))
    wait_for(lambda: len(answers) == 100, '100 answers', seen=lambda: len(answers))
    assert [number_of(each) for each in answers] == list(range(100))
    assert [each.frame_id for each in answers] == [str(number) for number in range(100)]


def test_a_busy_worker_killed_among_three_loses_doubles_and_disorders_nothing(start, observer):
    """SIGKILL in the middle of 500 items: each is answered once, in order."""
    start({'stages': ['work'], 'work': stage('Work', workers=3, queue_size=1000)})
    answers = observer.collect('work/output')
    feed = observer.feeder('work/input')
    observer.wait_until_active('work', 3)
    victim = observer.pid_of('work/worker_1')
    bystanders = {observer.pid_of(f'work/worker_{index}') for index in (0, 2)}
    for number in range(500):
        feed.publish(header(number))
    wait_for(lambda: len(answers) > 100, 'some answers before the kill')
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: len(answers) >= 500, '500 answers', seen=lambda: len(answers))
    assert [number_of(each) for each in answers] == list(range(500))
    observer.wait_until_active('work', 3)
    values = wait_for(
        lambda: observer.count('work', 'completed') == 500 and observer.values('work/worker_1'),
        'diagnostics of the finished work',
    )
    assert values['restarts'] == '1'
    assert int(values['pid']) != victim
    assert {observer.pid_of(f'work/worker_{index}') for index in (0, 2)} == bystanders
    assert observer.values('work/worker_0')['restarts'] == '0'
    # What it held, if it held anything at that moment; what it had said counts.
    assert observer.count('work', 'redelivered') <= 2
    assert observer.count('work', 'dropped') == observer.count('work', 'quarantined') == 0


def test_the_replacement_does_its_share_under_the_name_and_parameters_of_the_dead(start, observer):
    """Same node name, topics and parameters, driven back to active; only the pid is another."""
    start(
        {
            'stages': ['work'],
            'work': stage('Work', workers=1, queue_size=1000, params={'mark': 'ours'}),
        }
    )
    answers = observer.collect('work/output')
    feed = observer.feeder('work/input')
    observer.wait_until_active('work', 1)
    first = observer.pid_of('work/worker_0')
    os.kill(first, signal.SIGKILL)
    feed.publish(header(1))
    answer = wait_for(lambda: answers, 'an answer of the replacement')[0]
    number, pid, mark = answer.frame_id.split()
    assert (number, mark) == ('1', 'ours')
    assert int(pid) != first
    assert observer.state_of('work/worker_0') == 'active'


def test_items_without_an_output_leave_no_gap_behind_them(start, observer):
    """A stage that has nothing to say of an item holds nothing back."""
    start({'stages': ['sparse'], 'sparse': stage('Sparse', workers=2, queue_size=100)})
    answers = observer.collect('sparse/output')
    feed = observer.feeder('sparse/input')
    observer.wait_until_active('sparse', 2)
    for number in range(30):
        feed.publish(header(number))
    wait_for(lambda: observer.count('sparse', 'completed') == 30, '30 completed items')
    assert [number_of(each) for each in answers] == list(range(0, 30, 3))


def test_a_source_ends_the_run_when_it_is_exhausted_and_all_is_drained(start, observer):
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
    assert manager.wait(40.0) == 0, manager.output
    for name in ('count', 'work'):
        assert f'{name}: 50 accepted, 50 completed, 0 dropped, 0 quarantined' in manager.output
    stamps = [(each.stamp.sec, each.stamp.nanosec) for each in answers]
    # The observer may have been found only after the first items had passed.
    assert stamps == sorted(stamps)
    assert manager.relatives() == []


def test_a_source_that_is_but_a_context_does_not_hold_up_the_end(start):
    """As a vehicle, that tells of itself for ever."""
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
    assert manager.wait(40.0) == 0, manager.output
    assert 'look: 30 accepted, 30 completed' in manager.output


def test_a_period_asks_a_source_at_its_pace(start, observer):
    """`period` seconds lie between the times of capture that are asked for."""
    start({'stages': ['count'], 'count': stage('Counting', period=0.1, params={'items': 1000})})
    answers = observer.collect('count/output')
    wait_for(lambda: len(answers) >= 12, '12 answers', seen=lambda: len(answers))
    since = [float(each.frame_id.split()[1]) for each in answers]
    assert all(each.frame_id.startswith('tick ') for each in answers)
    steps = [after - before for before, after in itertools.pairwise(since)]
    assert 0.05 < sorted(steps)[len(steps) // 2] < 0.2


def test_a_context_reaches_every_worker_and_nobody_consumes_it(start, observer):
    """Each worker sees what the context stage published, before and after the item's stamp."""
    start(
        {
            'stages': ['reference', 'look'],
            'reference': stage('Echo', queue_size=100),
            'look': stage(
                'WithContext', workers=2, queue_size=100, context={'reference': 'reference'}
            ),
        }
    )
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


def test_a_replacement_is_given_the_context_that_was_published_before(start, observer):
    """A context's last messages are kept for workers that come late."""
    start(
        {
            'stages': ['reference', 'look'],
            'reference': stage('Echo', queue_size=100),
            'look': stage('WithContext', queue_size=100, context={'reference': 'reference'}),
        }
    )
    answers = observer.collect('look/output')
    references = observer.feeder('reference/input')
    items = observer.feeder('look/input')
    observer.wait_until_active('reference', 1)
    observer.wait_until_active('look', 1)
    for number in (0, 100):
        references.publish(header(number))
    wait_for(lambda: observer.count('reference', 'completed') == 2, 'the references passed on')
    os.kill(observer.pid_of('look/worker_0'), signal.SIGKILL)
    items.publish(header(50))
    wait_for(lambda: answers, 'an answer of the replacement')
    assert answers[0].frame_id == '0 100'


def test_what_a_worker_is_given_and_answers_can_be_looked_at(start, observer):
    """By its topics, as `ros2 topic echo` does: from when it is seen that somebody looks."""
    start({'stages': ['sparse'], 'sparse': stage('Sparse', queue_size=1000)})
    observer.wait_until_active('sparse', 1)
    feed = observer.feeder('sparse/input')
    given = observer.collect('sparse/worker_0/work')
    results = observer.collect('sparse/worker_0/result')
    outcomes = observer.collect('sparse/worker_0/outcome', DiagnosticStatus)
    numbers = itertools.count()

    def shown() -> bool:
        feed.publish(header(next(numbers)))
        return bool(given and results and outcomes)

    wait_for(shown, 'an item, its answer, and a note of none')
    assert all(each.frame_id == str(number_of(each)) for each in (*given, *results))
    assert {number_of(each) % 3 for each in results} == {0}
    assert {each.message for each in outcomes} == {'no output'}
    assert {each.name for each in outcomes} == {'sparse/worker_0'}


def test_a_source_tells_when_it_captured_and_what_else_it_likes(start, observer):
    """On topics of its own; an item is known by its own stamp on every way it comes."""
    stages = {
        'camera': {'plugin': 'support.stages:Capturing', 'period': 0.02},
        'echo': stage('Echo', input='camera', overflow='block'),
    }
    start({'stages': list(stages), **stages})
    outputs, answers = observer.collect('camera/output'), observer.collect('echo/output')
    seen = observer.collect('camera/seen')
    wait_for(lambda: min(map(len, (outputs, answers, seen))) > 30, 'items on all topics')
    home = []
    observer.node.create_subscription(Header, 'camera/home', home.append, qos.latched(1))
    wait_for(lambda: home, 'what is latched')
    assert [each.frame_id for each in home] == ['here']
    now = observer.node.get_clock().now().nanoseconds
    taken = answers[-1].stamp.sec * 10**9 + answers[-1].stamp.nanosec
    assert 0.4e9 < now - taken < 5e9
    numbers = [int(each.frame_id) for each in answers]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    by_number = {each.frame_id: each for each in outputs}
    assert all(by_number.get(each.frame_id, each) == each for each in answers)
    assert observer.count('echo', 'duplicates') == observer.count('echo', 'refused') == 0
