# SPDX-License-Identifier: Apache-2.0
"""Topics that mirror a channel for observers, and cost nothing without any."""

from __future__ import annotations

from typing import Any

from rclpy.event_handler import PublisherEventCallbacks
from rclpy.node import Node
from rclpy.qos import QoSProfile

from worker_pipeline.ros.subscription_status import NO_CALLBACKS

# The node name of a subscription that was discovered before its node.
UNKNOWN = '_NODE_NAME_UNKNOWN_'


class MirrorTopic:
    """The publisher of a mirror topic.

    The peer, the node at the other end of the channel, makes the subscription with
    ``subscribe_noop``, so that rqt shows the two as connected.

    Args:
        node: The publishing node.
        message_type: The type of the topic.
        name: The name of the topic.
        profile: Its quality of service.
        peer: The full name of the peer, which is no observer.
    """

    def __init__(
        self, node: Node, message_type: Any, name: str, profile: QoSProfile, peer: str
    ) -> None:
        # No callbacks, also not those that rclpy has for itself: it is destroyed with its slot.
        self.publisher = node.create_publisher(
            message_type,
            name,
            profile,
            event_callbacks=PublisherEventCallbacks(use_default_callbacks=False),
        )
        self.has_observers = False  # as of the last `refresh`
        self._node = node
        self._peer = peer

    def refresh(self) -> None:
        """Update ``has_observers``: whether any node but the peer subscribes.

        A killed peer stays in the graph for seconds, beside its replacement. Neither counts:
        publishing a camera's images to a dead process would be expensive.
        """
        self.has_observers = self.publisher.get_subscription_count() > 1 and any(
            each.node_name != UNKNOWN
            and f'{each.node_namespace.rstrip("/")}/{each.node_name}' != self._peer
            for each in self._node.get_subscriptions_info_by_topic(self.publisher.topic_name)
        )

    def publish(self, message: Any) -> None:
        """Publish a message, or its serialised bytes."""
        self.publisher.publish(message)


def subscribe_noop(node: Node, message_type: Any, name: str, profile: QoSProfile) -> Any:
    """Return a subscription that ignores its messages, which the peer gets over the channel.

    Args:
        node: The subscribing node.
        message_type: The type of the topic.
        name: The name of the topic.
        profile: Its quality of service.
    """
    return node.create_subscription(
        message_type, name, lambda _: None, profile, raw=True, event_callbacks=NO_CALLBACKS
    )
