# SPDX-License-Identifier: Apache-2.0
"""Any process on the machine may publish on a stage's output; other stages take no notice."""

from __future__ import annotations

import os
import signal

import pytest
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from std_msgs.msg import Header
from support.configuring import stage
from support.observer import header

from worker_pipeline.testing import wait_for

COUNT = 50
RELIABLE = QoSProfile(depth=1000)
# As a stage publishes what others have as a context.
LATCHED = QoSProfile(depth=1000, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
SHARED = {
    'first': stage('Echo', queue_size=1000),
    'second': stage('Echo', input='first', queue_size=1000),
    'open_second': stage('Echo', input='first', queue_size=1000, accept_external=True),
    'map': stage('Echo', queue_size=1000),
    'placed': stage('WithContext', context={'reference': 'map'}, task_timeout=60.0),
    'kept_map': stage('Echo'),
    'kept_placed': stage('WithContext', context={'reference': 'kept_map'}, task_timeout=60.0),
    'open_placed': stage(
        'WithContext', context={'reference': 'map'}, task_timeout=60.0, accept_external=True
    ),
}


def forger_of(observer, topic: str, subscriptions: int, profile: QoSProfile = RELIABLE):
    made = observer.node.create_publisher(Header, topic, profile)
    wait_for(
        lambda: made.get_subscription_count() >= subscriptions,
        f'{subscriptions} subscriptions to {topic}',
        seen=made.get_subscription_count,
    )
    return made


def message_of(observer, name: str) -> str:
    status = observer.status(name)
    return status.message if status else ''


def forged(number: int) -> Header:
    message = header(number)
    message.frame_id = 'forged'
    return message


def test_a_forged_output_is_nobodys_item(shared):
    """The next stage takes the genuine items with the same stamps, unless it is told otherwise."""
    observer = shared.observer
    answers, of_open = observer.collect('second/output'), observer.collect('open_second/output')
    for name in ('first', 'second', 'open_second'):
        observer.wait_until_active(name, 1)
    wait_for(lambda: observer.count('open_second', 'listeners'), 'a listener of open_second')
    forger = forger_of(observer, '/airside/first/output', 2)
    for number in range(COUNT):
        forger.publish(forged(number))
    wait_for(
        lambda: len(of_open) == COUNT,
        'the forged items of open_second',
        seen=lambda: [each.frame_id for each in of_open],
    )
    assert {each.frame_id for each in of_open} == {'forged'}
    feed = observer.feeder('first/input')
    for number in range(COUNT):
        feed.publish(header(number))
    wait_for(lambda: len(answers) == COUNT, f'{COUNT} items', seen=lambda: len(answers))
    assert [each.frame_id for each in answers] == [str(number) for number in range(COUNT)]
    wait_for(lambda: observer.count('second', 'completed') == COUNT, 'its figures')
    assert observer.count('second', 'accepted') == COUNT
    assert observer.count('second', 'duplicates') == 0
    observer.node.destroy_publisher(forger)


def test_who_expects_to_be_heard_is_told_otherwise(shared):
    """In the log, and in the status for as long as the publisher exists."""
    observer = shared.observer
    observer.wait_until_active('second', 1)
    forger = forger_of(observer, '/airside/first/output', 2)
    name = f'{observer.node.get_namespace().rstrip("/")}/{observer.node.get_name()}'
    told = f'first/output: ignores the messages of {name}'
    wait_for(lambda: told in shared.manager.output, told)
    wait_for(lambda: told in message_of(observer, 'second'), told)
    assert told not in message_of(observer, 'open_second')
    observer.node.destroy_publisher(forger)
    wait_for(lambda: told not in message_of(observer, 'second'), 'the end of that')
    assert '[airside.second]: ' + told in shared.manager.output
    assert '[airside.open_second]: ' + told not in shared.manager.output


def test_a_forged_context_is_not_believed(shared):
    """Workers get contexts of stages of their own manager from the manager."""
    observer = shared.observer
    answers, of_open = observer.collect('placed/output'), observer.collect('open_placed/output')
    for name in ('map', 'placed', 'open_placed'):
        observer.wait_until_active(name, 1)
    wait_for(lambda: observer.count('open_placed', 'listeners'), 'a listener of open_placed')
    forger = forger_of(observer, '/airside/map/output', 2, LATCHED)
    for number in (100, 200):
        forger.publish(forged(number))
    item = header(150)
    observer.feeder('open_placed/input').publish(item)
    wait_for(lambda: of_open, 'the answer of open_placed')
    assert of_open[0].frame_id == 'forged forged'
    feed = observer.feeder('map/input')
    observer.feeder('placed/input').publish(item)
    # The worker waits for them now.
    for number in (90, 210):
        feed.publish(header(number))
    wait_for(lambda: answers, 'the answer of placed')
    assert answers[0].frame_id == '90 210'
    observer.node.destroy_publisher(forger)


def test_a_replacement_has_the_contexts_of_before(shared):
    observer = shared.observer
    answers = observer.collect('kept_placed/output')
    observer.wait_until_active('kept_placed', 1)
    feed, items = observer.feeder('kept_map/input'), observer.feeder('kept_placed/input')
    for number in (1001, 1003):
        feed.publish(header(number))
    items.publish(header(1002))
    wait_for(lambda: answers, 'an answer')
    pid = observer.pid_of('kept_placed/worker_0')
    os.kill(pid, signal.SIGKILL)
    observer.pid_of('kept_placed/worker_0', but=pid)
    items.publish(header(1002 + 1))
    wait_for(lambda: len(answers) == 2, 'an answer of the replacement')
    assert [each.frame_id for each in answers] == ['1001 1003', '1003 1003']


@pytest.mark.parametrize('name', ['first', 'map'])
def test_stages_that_are_linked_are_no_listeners(shared, name):
    """Only others are: nothing is published for stages of the same manager and their workers."""
    observer = shared.observer
    wait_for(
        # The worker of open_placed subscribes by itself.
        lambda: observer.count(name, 'listeners') == (1 if name == 'map' else 0),
        'no listeners',
        seen=lambda: observer.count(name, 'listeners'),
    )


def test_links_are_in_the_graph(shared):
    observer = shared.observer
    for topic, stages in (
        ('first/output', {'second', 'open_second'}),
        ('map/output', {'placed', 'worker_0'}),
    ):
        wait_for(
            lambda topic=topic, stages=stages: stages <= set(observer.listeners_of(topic)),
            f'{stages} at {topic}',
            seen=lambda topic=topic: observer.listeners_of(topic),
        )
