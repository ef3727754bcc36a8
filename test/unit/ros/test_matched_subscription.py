# SPDX-License-Identifier: Apache-2.0
"""A matched subscription is replaced without a gap and without repetition."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest
from rclpy.qos import QoSDurabilityPolicy, QoSPolicyKind, QoSReliabilityPolicy
from std_msgs.msg import Header
from support.fake_nodes import FakeClock, FakeNode

from worker_pipeline.ros import qos
from worker_pipeline.ros.matched_subscription import HANDOVER_TIME, KEPT_TIME, MatchedSubscription

TOPIC = '/camera'
GOOD = QoSReliabilityPolicy.RELIABLE
POOR = QoSReliabilityPolicy.BEST_EFFORT


class Bench:
    def __init__(self):
        self.node = FakeNode('s', FakeClock())
        self.offers, self.others = [], []
        self.node.get_publishers_info_by_topic = lambda _: (
            [
                SimpleNamespace(
                    endpoint_gid=[number],
                    topic_type='std_msgs/msg/Header',
                    qos_profile=SimpleNamespace(
                        reliability=each, durability=QoSDurabilityPolicy.VOLATILE
                    ),
                )
                for number, each in enumerate(self.offers)
            ]
            + self.others
        )
        self.messages, self.counts = [], []
        self.now = time.monotonic()
        self.subject = MatchedSubscription(
            self.node,
            Header,
            TOPIC,
            self.messages.append,
            qos.keep_all(),
            raw=True,
            status_of=self.node.subscription_status,
            publishers=self.counts.append,
        )

    @property
    def open(self):
        return self.node.topics_subscribed[TOPIC]

    def tick(self, seconds=0.05):
        self.now += seconds
        self.subject.tick(self.now)

    def offer(self, *offers):
        """Publishers are there, and DDS reports it."""
        self.offers = list(offers)
        if POOR in offers and self.open.profile.reliability is GOOD:
            self.open.status.refused = QoSPolicyKind.RELIABILITY
            self.open.status.publishers = len(offers) - offers.count(POOR)
        else:
            self.open.status.publishers = len(offers)
        self.tick()


@pytest.fixture
def bench():
    return Bench()


def test_it_follows_the_publishers_down_and_up(bench):
    first = bench.open
    assert first.profile.reliability is GOOD
    bench.offer(POOR)
    assert bench.open.profile.reliability is POOR
    bench.open.status.publishers = 1
    bench.tick(HANDOVER_TIME)
    bench.tick()
    assert first.status.is_destroyed
    bench.offer()
    assert bench.open.profile.reliability is GOOD


def test_the_former_one_stays_when_its_successor_is_matched(bench):
    """Its publishers may not know that one yet. Neither a gap nor a repetition, in any order."""
    bench.offer(GOOD, POOR)
    bench.open.status.publishers = 2
    bench.tick(HANDOVER_TIME)
    bench.tick(HANDOVER_TIME)
    bench.tick(HANDOVER_TIME)
    former = bench.open
    bench.offer(GOOD)
    assert bench.open is not former
    assert not former.status.is_destroyed
    former.receive(b'one')
    bench.open.receive(b'two')
    bench.open.receive(b'one')
    former.receive(b'two')
    bench.open.status.publishers = 1
    bench.tick()
    assert not former.status.is_destroyed
    former.receive(b'three')
    bench.tick(KEPT_TIME)
    assert former.status.is_destroyed
    bench.open.receive(b'three')  # it had waited
    assert bench.messages == [b'one', b'two', b'three']


def test_equal_messages_of_one_subscription_are_not_taken_for_one(bench):
    """It is the stage that refuses what a publisher repeats."""
    bench.offer(POOR)
    bench.open.receive(b'same')
    bench.open.receive(b'same')
    assert bench.messages == [b'same', b'same']


def test_one_that_is_never_matched_does_not_keep_the_former_one(bench):
    bench.offer(GOOD, POOR)
    former = bench.node.topics_subscribed[TOPIC]
    bench.tick(HANDOVER_TIME)
    bench.tick(HANDOVER_TIME)
    assert former is bench.open
    assert not former.status.is_destroyed


def test_the_count_of_publishers_does_not_fall_meanwhile(bench):
    """Or the link would seem to be cut."""
    bench.offer(GOOD)
    bench.offer(GOOD, POOR)
    bench.tick()
    bench.open.status.publishers = 2
    bench.tick(HANDOVER_TIME)
    bench.tick()
    assert bench.counts == [1, 2]


def test_messages_lost_by_both_are_counted(bench):
    first = bench.open
    first.status.lost = 2
    bench.offer(POOR)
    bench.open.status.lost = 3
    bench.tick(HANDOVER_TIME)
    assert bench.subject.take_lost() == 5
    assert bench.subject.take_lost() == 0


def of_type(name, reliability=POOR):
    """Return what the graph lists of a publisher of another type."""
    profile = SimpleNamespace(reliability=reliability, durability=QoSDurabilityPolicy.VOLATILE)
    return SimpleNamespace(endpoint_gid=[name], topic_type=name, qos_profile=profile)


def test_a_publisher_of_another_type_is_logged_once_with_its_type(bench):
    """DDS reports no event of it, and takes no part of it."""
    first = bench.open
    bench.others = [of_type('sensor_msgs/msg/CompressedImage')] * 2
    for _ in range(20):
        bench.tick(1.0)
    assert bench.subject.other_types == {'sensor_msgs/msg/CompressedImage'}
    (warning,) = bench.node.logger.warnings
    assert warning == (
        f'{TOPIC}: a publisher is not received: found messages of sensor_msgs/msg/CompressedImage;'
        ' allowed: std_msgs/msg/Header'
    )
    assert bench.open is first  # its quality of service does not count
    assert bench.counts == []
    bench.others = []
    for _ in range(20):
        bench.tick(1.0)
    assert bench.subject.other_types == frozenset()


def test_both_are_destroyed(bench):
    first = bench.open
    bench.offer(POOR)
    second = bench.open
    bench.subject.destroy()
    assert first.status.is_destroyed
    assert second.status.is_destroyed
    bench.tick()
    assert bench.node.topics_subscribed == {}
