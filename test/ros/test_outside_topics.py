# SPDX-License-Identifier: Apache-2.0
"""Topics from other nodes, with any quality of service."""

from __future__ import annotations

import itertools
from functools import partial

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.qos import QoSDurabilityPolicy, QoSHistoryPolicy, QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header
from support.configuring import stage
from support.observer import Observer, header, number_of

from worker_pipeline.testing import wait_for

BEST_EFFORT = QoSProfile(depth=100, reliability=QoSReliabilityPolicy.BEST_EFFORT)
RELIABLE = QoSProfile(depth=100)
KEPT = QoSProfile(depth=5000)
LATCHED = QoSProfile(depth=100, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
PROFILES = {'best': BEST_EFFORT, 'rel': RELIABLE, 'latch': LATCHED}
COMES = ['before', 'after']

# A stage for each test; its input is the topic of that name.
SHARED = {
    name: stage('Echo', input=f'/{name}', queue_size=1000)
    for name in (
        *(f'{profile}_{comes}' for profile in PROFILES for comes in COMES),
        *('latched_before', 'latched_after', 'deserted', 'mixed'),
        *('improved', 'alternating', 'mistyped'),
    )
} | {
    f'placed_{comes}': stage(
        'WithContext', context={'reference': f'/odometry_{comes}'}, task_timeout=60.0
    )
    for comes in COMES
}


def before_start(observer):
    """Create the publishers that come before the pipeline."""
    made = {
        f'/{name}_before': publisher(observer, profile, f'/{name}_before')
        for name, profile in PROFILES.items()
    }
    made['/latched_before'] = latch(observer, '/latched_before')
    made['/odometry_before'] = publisher(observer, BEST_EFFORT, '/odometry_before')
    return made


def publisher(observer, profile: QoSProfile, topic: str):
    # By default it would log that a subscriber asked for more, by a call that is deprecated.
    quiet = PublisherEventCallbacks(use_default_callbacks=False)
    return observer.node.create_publisher(Header, topic, profile, event_callbacks=quiet)


def publish_until_heard(made, answers: list, number: int) -> None:
    """Best-effort messages may be lost, before it is matched above all: another stamp each time."""
    first = number

    def is_heard() -> bool:
        nonlocal number
        made.publish(header(number))
        number += 1
        return any(number_of(each) >= first for each in answers)

    wait_for(is_heard, 'an answer')


def latch(observer, topic: str):
    """Publish ten latched messages."""
    made = publisher(observer, LATCHED, topic)
    for number in range(10):
        made.publish(header(number))
    return made


@pytest.mark.parametrize('profile', PROFILES)
@pytest.mark.parametrize('comes', COMES)
def test_an_input_is_heard_however_it_is_published(shared, profile, comes):
    """Before the pipeline or after it."""
    observer, name = shared.observer, f'{profile}_{comes}'
    answers = observer.collect(f'{name}/output')
    observer.wait_until_active(name, 1)
    made = shared.before.get(f'/{name}') or publisher(observer, PROFILES[profile], f'/{name}')
    publish_until_heard(made, answers, 1)


@pytest.mark.parametrize('comes', COMES)
def test_what_was_latched_is_heard_by_who_comes_later(shared, comes):
    """All of it, in order, once."""
    observer, name = shared.observer, f'latched_{comes}'
    answers = observer.collect(f'{name}/output')
    observer.wait_until_active(name, 1)
    kept = shared.before.get(f'/{name}') or latch(observer, f'/{name}')
    wait_for(lambda: observer.count(name, 'completed') == 10, 'the items')
    if comes == 'after':
        wait_for(lambda: len(answers) == 10, 'the answers')
        assert [number_of(each) for each in answers] == list(range(10))
    # A subscription that was replaced stays for a while.
    wait_for(lambda: kept.get_subscription_count() == 1, 'one subscription alone')


def test_an_input_that_nobody_publishes_any_more_is_told(shared):
    """A machine that is cut off gives no notice. Back again, all is well."""
    observer = shared.observer
    first = publisher(observer, RELIABLE, '/deserted')
    answers = observer.collect('deserted/output')
    observer.wait_until_active('deserted', 1)
    publish_until_heard(first, answers, 1)
    observer.wait_for_status('deserted', DiagnosticStatus.OK)
    observer.node.destroy_publisher(first)
    told = '/deserted has no publisher any more'
    observer.wait_for_status('deserted', DiagnosticStatus.WARN, told)
    second = publisher(observer, RELIABLE, '/deserted')
    publish_until_heard(second, answers, 1_000_000)
    observer.wait_for_status('deserted', DiagnosticStatus.OK, 'active')
    log = [line for line in shared.manager.output.splitlines() if '/deserted: ' in line]
    assert [line.rpartition('/deserted: ')[2] for line in log] == [
        'has no publisher any more',
        'has a publisher again',
    ]


def test_an_input_that_is_published_as_another_type_is_told(shared):
    """DDS does not match it, and reports nothing. Gone again, all is well."""
    observer = shared.observer
    observer.wait_until_active('mistyped', 1)
    other = Observer(shared.domain)  # no node may use one topic with two types
    made = other.node.create_publisher(CompressedImage, '/mistyped', BEST_EFFORT)
    told = '/mistyped is published as sensor_msgs/msg/CompressedImage, which is not received'
    observer.wait_for_status('mistyped', DiagnosticStatus.WARN, told)
    other.node.destroy_publisher(made)
    observer.wait_for_status('mistyped', DiagnosticStatus.OK, 'active')
    other.close()
    (line,) = (line for line in shared.manager.output.splitlines() if '/mistyped: ' in line)
    assert line.endswith(
        '/mistyped: a publisher is not received: found messages of'
        ' sensor_msgs/msg/CompressedImage; allowed: std_msgs/msg/Header'
    )


def test_one_that_offers_less_is_heard_beside_one_that_offers_more(shared):
    """Both are, then as before."""
    observer = shared.observer
    first = publisher(observer, LATCHED, '/mixed')
    answers = observer.collect('mixed/output')
    observer.wait_until_active('mixed', 1)
    publish_until_heard(first, answers, 1)
    second = publisher(observer, BEST_EFFORT, '/mixed')
    publish_until_heard(second, answers, 1_000_000)
    publish_until_heard(first, answers, 2_000_000)


def profiles_of(observer, topic: str) -> list[QoSReliabilityPolicy]:
    found = observer.node.get_subscriptions_info_by_topic(topic)
    return [each.qos_profile.reliability for each in found]  # two while one is being replaced


def wait_for_profile(observer, topic: str, reliability: QoSReliabilityPolicy) -> None:
    wait_for(
        lambda: profiles_of(observer, topic) == [reliability],
        f'a subscription of {topic} that is {reliability.name}',
        seen=lambda: profiles_of(observer, topic),
    )


def test_an_input_is_reliable_again_when_its_best_effort_publisher_is_gone(shared):
    """It stayed best-effort for good, and lost a fifth of a reliable burst."""
    observer = shared.observer
    answers = observer.collect('improved/output')
    observer.wait_until_active('improved', 1)
    poor = publisher(observer, BEST_EFFORT, '/improved')
    publish_until_heard(poor, answers, 1)
    wait_for_profile(observer, '/improved', QoSReliabilityPolicy.BEST_EFFORT)
    observer.node.destroy_publisher(poor)
    wait_for_profile(observer, '/improved', QoSReliabilityPolicy.RELIABLE)
    good = publisher(observer, KEPT, '/improved')
    wait_for(lambda: good.get_subscription_count() == 1, 'the match')
    for number in range(1_000_000, 1_005_000):
        good.publish(header(number))

    def accounted_for() -> int:
        keys = ('accepted', 'lost', 'refused')
        return sum(observer.count('improved', each) for each in keys)

    wait_for(lambda: accounted_for() >= 5000, 'all', seen=lambda: observer.values('improved'))
    assert observer.count('improved', 'lost') == 0


def test_nothing_is_missed_or_repeated_while_a_best_effort_publisher_comes_and_goes(shared):
    """The former subscription stays until its successor is matched."""
    observer, topic = shared.observer, '/alternating'
    answers = observer.collect('alternating/output')
    observer.wait_until_active('alternating', 1)
    good = publisher(observer, KEPT, topic)
    wait_for(lambda: good.get_subscription_count() == 1, 'the match')
    numbers = itertools.count(1)

    def has_changed_to(reliability: QoSReliabilityPolicy) -> bool:
        good.publish(header(next(numbers)))
        return profiles_of(observer, topic) == [reliability]

    for _ in range(4):
        poor = publisher(observer, BEST_EFFORT, topic)
        wait_for(partial(has_changed_to, QoSReliabilityPolicy.BEST_EFFORT), 'best effort')
        observer.node.destroy_publisher(poor)
        wait_for(partial(has_changed_to, QoSReliabilityPolicy.RELIABLE), 'reliable')
    last = next(numbers)
    good.publish(header(last))
    wait_for(lambda: len(answers) >= last, 'the answers', seen=lambda: (len(answers), last))
    assert [number_of(each) for each in answers] == list(range(1, last + 1))
    assert observer.count('alternating', 'duplicates') == 0
    assert 'Segmentation' not in shared.manager.output


@pytest.mark.parametrize('comes', COMES)
def test_a_context_may_be_best_effort(shared, comes):
    """As MAVROS publishes odometry."""
    observer, name, topic = shared.observer, f'placed_{comes}', f'/odometry_{comes}'
    answers = observer.collect(f'{name}/output')
    feed = observer.feeder(f'{name}/input')
    observer.wait_until_active(name, 1)
    made = shared.before.get(topic) or publisher(observer, BEST_EFFORT, topic)
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
