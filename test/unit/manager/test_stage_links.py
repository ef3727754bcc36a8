# SPDX-License-Identifier: Apache-2.0
"""The links between stages in the graph, and other publishers on their topics."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

import attrs
import pytest
from support.fake_nodes import FakeNode
from support.offline_pipeline import HEADER, stage_config

from worker_pipeline.config import PluginDescription
from worker_pipeline.manager.stage_links import StageLinks
from worker_pipeline.ros.mirror_topic import UNKNOWN
from worker_pipeline.ros.subscription_status import NO_CALLBACKS

OWN, FORMER, OTHER = bytes(12), b'f' * 12, b'o' * 12
PLAIN = PluginDescription(HEADER, HEADER)
PLUGINS = {
    **dict.fromkeys(('before', 'telemetry', 'idle'), PLAIN),
    's': PluginDescription(HEADER, HEADER, contexts={'odometry': HEADER}),
}
CONFIG = stage_config('s', 'before', '/camera', context={'odometry': 'telemetry', 'unused': 'idle'})


def endpoint(participant: bytes, name: str) -> SimpleNamespace:
    return SimpleNamespace(
        endpoint_gid=[*participant, 0, 0, 0, 1], node_namespace='/airside', node_name=name
    )


class Bench:
    def __init__(self, clock):
        self.node = FakeNode('s', clock)
        self.own = Counter()
        self.links = StageLinks(self.node, self.own)
        self.publishers = [endpoint(OWN, 'before')]
        self.node.get_publishers_info_by_topic = lambda _topic: self.publishers
        self.node.get_subscriptions_info_by_topic = lambda _topic: [
            endpoint(OWN, 's'),
            endpoint(OTHER, 'rosbag2_recorder'),
        ]
        self.now = 0.0
        self.links.open(CONFIG, PLUGINS)

    def publish_also(self, *others):
        self.publishers = [endpoint(OWN, 'before'), *others]
        self.node.topics_subscribed['before/output'].status.publishers = len(self.publishers)
        self.pass_time()

    def pass_time(self):
        self.now += 1.0
        self.links.tick(self.now)


@pytest.fixture
def bench(clock):
    return Bench(clock)


def test_a_stage_is_linked_with_the_stages_it_gets_items_and_contexts_of(bench):
    assert set(bench.node.topics_subscribed) == {'before/output', 'telemetry/output'}


def test_the_messages_of_a_link_are_ignored(bench):
    """And it keeps none."""
    for each in bench.node.topics_subscribed.values():
        assert each.profile.depth == 1
        each.receive(b'anything')


def test_a_stage_that_accepts_others_has_subscriptions_instead(clock):
    links = StageLinks(node := FakeNode('s', clock), Counter())
    links.open(attrs.evolve(CONFIG, accept_external=True), PLUGINS)
    assert node.topics_subscribed == {}


def test_another_publisher_is_told(bench):
    bench.publish_also(endpoint(OTHER, 'rosbag2_player'))
    told = 'before/output: ignores the messages of /airside/rosbag2_player'
    assert bench.links.notes() == (told,)
    assert bench.node.logger.warnings == [
        told + '; allowed: those of /airside/before, which is a stage of the same manager. '
        'Publish to s/input, or set s.accept_external'
    ]
    bench.pass_time()
    assert len(bench.node.logger.warnings) == 1


def test_a_publisher_that_is_gone_is_told_no_longer(bench):
    bench.publish_also(endpoint(OTHER, 'rosbag2_player'))
    bench.publish_also()
    assert bench.links.notes() == ()


@pytest.mark.parametrize(
    'other',
    [
        pytest.param(endpoint(FORMER, 'before'), id='the stage of a manager that has died'),
        pytest.param(endpoint(OWN, 'renamed'), id='a node of this process, remapped'),
    ],
)
def test_our_own_publishers_are_no_others(bench, other):
    bench.publish_also(other)
    assert bench.links.notes() == ()
    assert bench.node.logger.warnings == []


def test_a_publisher_is_told_when_its_node_is_known(bench):
    bench.publish_also(endpoint(OTHER, UNKNOWN))
    assert bench.links.notes() == ()
    bench.publishers[-1] = endpoint(OTHER, 'player')
    bench.pass_time()
    assert 'player' in bench.links.notes()[0]


def test_closed_links_are_out_of_the_graph(bench):
    bench.publish_also(endpoint(OTHER, 'player'))
    bench.links.close()
    bench.pass_time()
    assert bench.node.topics_subscribed == {}
    assert bench.links.notes() == ()


def test_links_have_no_event_callbacks(bench):
    """One that is destroyed while an event waits in rclpy's executor would end the process."""
    for each in bench.node.topics_subscribed.values():
        assert each.event_callbacks is NO_CALLBACKS


def test_links_are_counted_while_they_are_open(bench):
    assert bench.own == {'before': 1, 'telemetry': 1}
    bench.links.close()
    assert bench.own.total() == 0
