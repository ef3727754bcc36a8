"""Topics from elsewhere: whatever quality of service their publishers have."""

from __future__ import annotations

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.qos import QoSDurabilityPolicy, QoSHistoryPolicy, QoSProfile, QoSReliabilityPolicy
from std_msgs.msg import Header
from support.configuring import stage
from support.observing import header, number_of

from worker_pipeline.testing import wait_for

BEST_EFFORT = QoSProfile(depth=100, reliability=QoSReliabilityPolicy.BEST_EFFORT)
RELIABLE = QoSProfile(depth=100)
LATCHED = QoSProfile(depth=100, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)


def publisher(observer, profile: QoSProfile, topic: str = '/camera/seen'):
    # By default it would log that somebody asked for more, by a call that is deprecated.
    quiet = PublisherEventCallbacks(use_default_callbacks=False)
    return observer.node.create_publisher(Header, topic, profile, event_callbacks=quiet)


def publish_until_heard(made, answers: list, number: int) -> None:
    """What is best-effort may be lost, before it is matched above all: another stamp each time."""
    first = number

    def is_heard() -> bool:
        nonlocal number
        made.publish(header(number))
        number += 1
        return any(number_of(each) >= first for each in answers)

    wait_for(is_heard, 'an answer')


@pytest.mark.parametrize('profile', [BEST_EFFORT, RELIABLE, LATCHED], ids=['best', 'rel', 'latch'])
@pytest.mark.parametrize('comes', ['before', 'after'])
def test_an_input_is_heard_however_it_is_published(start, observer, profile, comes):
    """Before the pipeline or after it."""
    if comes == 'before':
        made = publisher(observer, profile)
    start({'stages': ['echo'], 'echo': stage('Echo', input='/camera/seen', queue_size=1000)})
    answers = observer.collect('echo/output')
    observer.wait_until_active('echo', 1)
    if comes == 'after':
        made = publisher(observer, profile)
    publish_until_heard(made, answers, 1)


@pytest.mark.parametrize('comes', ['before', 'after'])
def test_what_was_latched_is_heard_by_who_comes_later(start, observer, comes):
    """All of it, in order, once."""

    def latch() -> object:
        made = publisher(observer, LATCHED)
        for number in range(10):
            made.publish(header(number))
        return made

    kept = [latch()] if comes == 'before' else []
    start({'stages': ['echo'], 'echo': stage('Echo', input='/camera/seen', queue_size=1000)})
    answers = observer.collect('echo/output')
    observer.wait_until_active('echo', 1)
    if comes == 'after':
        kept.append(latch())
    wait_for(lambda: observer.count('echo', 'completed') == 10, 'the items')
    if comes == 'after':
        wait_for(lambda: len(answers) == 10, 'the answers')
        assert [number_of(each) for each in answers] == list(range(10))


def test_an_input_that_nobody_publishes_any_more_is_told(start, observer):
    """A machine that is cut off does not say so itself. Back again, all is well."""
    first = publisher(observer, RELIABLE)
    manager = start({'stages': ['echo'], 'echo': stage('Echo', input='/camera/seen')})
    answers = observer.collect('echo/output')
    observer.wait_until_active('echo', 1)
    publish_until_heard(first, answers, 1)
    observer.wait_for_status('echo', DiagnosticStatus.OK)
    observer.node.destroy_publisher(first)
    told = 'nobody publishes /camera/seen any more'
    observer.wait_for_status('echo', DiagnosticStatus.WARN, told)
    second = publisher(observer, RELIABLE)
    publish_until_heard(second, answers, 1_000_000)
    observer.wait_for_status('echo', DiagnosticStatus.OK, 'active')
    log = [line for line in manager.output.splitlines() if '/camera/seen' in line]
    assert [line.rpartition('/camera/seen: ')[2] for line in log] == [
        'nobody publishes it any more',
        'is published again',
    ]


def test_one_that_offers_less_is_heard_beside_one_that_offers_more(start, observer):
    """Both are, then as before."""
    first = publisher(observer, LATCHED)
    start({'stages': ['echo'], 'echo': stage('Echo', input='/camera/seen', queue_size=1000)})
    answers = observer.collect('echo/output')
    observer.wait_until_active('echo', 1)
    publish_until_heard(first, answers, 1)
    second = publisher(observer, BEST_EFFORT)
    publish_until_heard(second, answers, 1_000_000)
    publish_until_heard(first, answers, 2_000_000)


@pytest.mark.parametrize('comes', ['before', 'after'])
def test_a_context_may_be_best_effort(start, observer, comes):
    """As MAVROS publishes odometry."""
    if comes == 'before':
        made = publisher(observer, BEST_EFFORT, '/odometry')
    start(
        {
            'stages': ['placed'],
            'placed': stage('WithContext', context={'reference': '/odometry'}, task_timeout=30.0),
        }
    )
    answers = observer.collect('placed/output')
    feed = observer.feeder('placed/input')
    observer.wait_until_active('placed', 1)
    if comes == 'after':
        made = publisher(observer, BEST_EFFORT, '/odometry')
    number = 0

    def has_context() -> bool:
        nonlocal number
        number += 1
        made.publish(header(number))
        feed.publish(header(number))
        return any('none' not in each.frame_id for each in answers)

    wait_for(has_context, 'an answer with its context', seen=lambda: answers[-3:])


def test_a_plain_node_stands_between_two_stages(start, observer, tmp_path):
    """As docs/plain_nodes.md has one. A worker dies meanwhile: nothing is lost, all is in order."""
    gate = tmp_path / 'gate'
    start(
        {
            'stages': ['before', 'behind'],
            'before': stage(
                'Gated', queue_size=1000, workers=2, task_timeout=60.0, params={'gate': str(gate)}
            ),
            'behind': stage('Echo', input='/airside/sieve/found', queue_size=1000),
        }
    )
    passed_on = observer.node.create_publisher(Header, 'sieve/found', 1000)
    keep_all = QoSProfile(history=QoSHistoryPolicy.KEEP_ALL)
    observer.node.create_subscription(Header, 'before/output', passed_on.publish, keep_all)
    answers = observer.collect('behind/output')
    feed = observer.feeder('before/input')
    observer.wait_until_active('before', 2)
    observer.wait_until_active('behind', 1)
    wait_for(lambda: observer.count('before', 'listeners') == 1, 'that it is heard')
    wait_for(passed_on.get_subscription_count, 'that it is found')
    for number in range(400):
        feed.publish(header(number))
    wait_for(lambda: observer.count('before', 'in_flight') == 4, 'that both have something')
    observer.kill('before/worker_0')
    gate.touch()
    wait_for(lambda: len(answers) == 400, 'all answers', seen=lambda: len(answers))
    assert [number_of(each) for each in answers] == list(range(400))
    wait_for(lambda: observer.count('before', 'redelivered') == 2, 'that two were given out again')
