# SPDX-License-Identifier: Apache-2.0
"""Mirror topics publish to observers, not to the channel's peer nor to its dead predecessors."""

from __future__ import annotations

import rclpy
from rclpy.context import Context
from std_msgs.msg import Header
from support.external_node import without_shared_memory

from worker_pipeline.ros.mirror_topic import MirrorTopic, subscribe_noop
from worker_pipeline.ros.qos import work
from worker_pipeline.testing import wait_for

TOPIC = '/airside/echo/worker_0/work'
QOS = work(2)


def test_only_nodes_other_than_the_peer_are_observers(domain):
    """A killed peer is still in the graph, beside the one that has its name now."""
    context = Context()

    def node(name: str, namespace: str):
        return rclpy.create_node(name, namespace=namespace, context=context)

    with without_shared_memory():
        rclpy.init(context=context, domain_id=domain)
        stage = node('echo', '/airside')
    subscribers = [node('worker_0', '/airside/echo') for _ in range(2)]
    try:
        mirror = MirrorTopic(stage, Header, TOPIC, QOS, '/airside/echo/worker_0')
        for subscriber in subscribers:
            subscribe_noop(subscriber, Header, TOPIC, QOS)
        wait_for(lambda: mirror.publisher.get_subscription_count() == 2, 'both peers')
        names = [each.node_name for each in stage.get_subscriptions_info_by_topic(TOPIC)]
        assert names == ['worker_0', 'worker_0']
        mirror.refresh()
        assert not mirror.has_observers

        def is_observed() -> bool:
            mirror.refresh()
            return mirror.has_observers

        subscribers.append(node('viewer', '/'))
        subscribe_noop(subscribers[-1], Header, TOPIC, QOS)
        wait_for(is_observed, 'the observer')
        subscribers.pop().destroy_node()
        wait_for(lambda: not is_observed(), 'the end of the observer')
    finally:
        for each in (stage, *subscribers):
            each.destroy_node()
        rclpy.shutdown(context=context)
