"""A topic that shows what goes by a line: to whoever else listens, and only then."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile


class ShownTopic:
    """The publishing end of one. ``listen`` makes the other: so the two are linked in the graph."""

    def __init__(self, node: Node, message_type: Any, name: str, profile: QoSProfile) -> None:
        self.publisher = node.create_publisher(message_type, name, profile)
        self.is_watched = False  # when it was looked last

    def look_round(self) -> None:
        """See whether somebody listens beside the line's other end."""
        self.is_watched = self.publisher.get_subscription_count() > 1

    def show(self, message: Any) -> None:
        """Publish a message, or its bytes."""
        self.publisher.publish(message)


def listen(node: Node, message_type: Any, name: str, profile: QoSProfile) -> Any:
    """The line's other end; what is shown there has come by the line. Returns the subscription."""
    return node.create_subscription(message_type, name, lambda _: None, profile, raw=True)
