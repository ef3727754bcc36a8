"""A topic that shows what goes by a line: to whoever else listens, and only then."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile

# Of a node whose subscription was discovered before itself.
UNKNOWN = '_NODE_NAME_UNKNOWN_'


class ShownTopic:
    """The publishing end of one. ``listen`` makes the other: so the two are linked in the graph.

    ``other_end``: the full name of the node there.
    """

    def __init__(
        self, node: Node, message_type: Any, name: str, profile: QoSProfile, other_end: str
    ) -> None:
        self.publisher = node.create_publisher(message_type, name, profile)
        self.is_watched = False  # when it was looked last
        self._node = node
        self._other_end = other_end

    def look_round(self) -> None:
        """See whether somebody listens beside the line's other end.

        One that was killed is in the graph for seconds yet, beside the one in its place. To show a
        camera's images to the dead would cost much.
        """
        self.is_watched = self.publisher.get_subscription_count() > 1 and any(
            each.node_name != UNKNOWN
            and f'{each.node_namespace.rstrip("/")}/{each.node_name}' != self._other_end
            for each in self._node.get_subscriptions_info_by_topic(self.publisher.topic_name)
        )

    def show(self, message: Any) -> None:
        """Publish a message, or its bytes."""
        self.publisher.publish(message)


def listen(node: Node, message_type: Any, name: str, profile: QoSProfile) -> Any:
    """The line's other end; what is shown there has come by the line. Returns the subscription."""
    return node.create_subscription(message_type, name, lambda _: None, profile, raw=True)
