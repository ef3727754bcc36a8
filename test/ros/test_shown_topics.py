"""Topics that show what goes by the lines: to whoever listens, and to nobody who is gone."""

from __future__ import annotations

import rclpy
from rclpy.context import Context
from std_msgs.msg import Header
from support.outside import without_shared_memory

from worker_pipeline.nodes.qos import work
from worker_pipeline.nodes.shown_topic import ShownTopic, listen
from worker_pipeline.testing import wait_for

TOPIC = '/airside/echo/worker_0/work'
QOS = work(2)


def test_only_others_than_the_lines_other_end_are_watchers(domain):
    """One that was killed is in the graph yet, beside the one that has its name now."""
    context = Context()

    def node(name: str, namespace: str):
        return rclpy.create_node(name, namespace=namespace, context=context)

    with without_shared_memory():
        rclpy.init(context=context, domain_id=domain)
        stage = node('echo', '/airside')
    ends = [node('worker_0', '/airside/echo') for _ in range(2)]
    try:
        shown = ShownTopic(stage, Header, TOPIC, QOS, '/airside/echo/worker_0')
        for end in ends:
            listen(end, Header, TOPIC, QOS)
        wait_for(lambda: shown.publisher.get_subscription_count() == 2, 'both ends')
        names = [each.node_name for each in stage.get_subscriptions_info_by_topic(TOPIC)]
        assert names == ['worker_0', 'worker_0']
        shown.look_round()
        assert not shown.is_watched

        def watched() -> bool:
            shown.look_round()
            return shown.is_watched

        ends.append(node('viewer', '/'))
        listen(ends[-1], Header, TOPIC, QOS)
        wait_for(watched, 'the watcher')
        ends.pop().destroy_node()
        wait_for(lambda: not watched(), 'that it is gone')
    finally:
        for each in (stage, *ends):
            each.destroy_node()
        rclpy.shutdown(context=context)
