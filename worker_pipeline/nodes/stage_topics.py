"""The further topics of a stage, as its worker publishes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile, QoSReliabilityPolicy

from worker_pipeline.nodes import qos
from worker_pipeline.runtime.message_types import name_of
from worker_pipeline.topic import Latched, Topic, message_type_of

_DEPTH = 10


class _PublishedTopic:
    def __init__(self, node: Node, message_type: Any, name: str, profile: QoSProfile) -> None:
        self._publisher = node.create_publisher(message_type, name, profile)

    @property
    def is_heard(self) -> bool:
        """Whether there is a subscription."""
        return bool(self._publisher.get_subscription_count())

    def publish(self, message: Any) -> None:
        """Publish a message."""
        self._publisher.publish(message)


def make_topics(node: Node, topics: Mapping[str, Any]) -> dict[str, Topic]:
    """Publishers of what a stage class has in ``topics``, in the node's namespace, by name."""
    return {
        name: _PublishedTopic(node, message_type_of(declared), name, _profile(declared))
        for name, declared in topics.items()
    }


def _profile(declared: Any) -> QoSProfile:
    if isinstance(declared, Latched):
        return qos.latched(1)
    profile = qos.reliable(_DEPTH)
    if name_of(declared) in qos.LARGE_MESSAGES:
        # Pictures to look at: one that is late is of no use, and the worker does not wait for it.
        profile.depth, profile.reliability = 1, QoSReliabilityPolicy.BEST_EFFORT
    return profile
