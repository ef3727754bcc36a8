# SPDX-License-Identifier: Apache-2.0
"""The additional topics of a stage, which its worker publishes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile, QoSReliabilityPolicy

from worker_pipeline.ros import qos
from worker_pipeline.ros.message_fields import check_fields
from worker_pipeline.ros.message_types import name_of
from worker_pipeline.topic import (
    AbsoluteTopic,
    Latched,
    Topic,
    message_type_of,
    topic_name_of,
)

_DEPTH = 10


class _PublishedTopic(Topic):
    def __init__(self, node: Node, message_type: Any, name: str, profile: QoSProfile) -> None:
        self._publisher = node.create_publisher(message_type, name, profile)

    @property
    def has_subscribers(self) -> bool:
        """Return whether there is a subscription."""
        return bool(self._publisher.get_subscription_count())

    def publish(self, message: Any) -> None:
        """Publish a message. Raises TypeError or OverflowError for fields that cannot be sent."""
        check_fields(message)
        self._publisher.publish(message)


def make_topics(node: Node, topics: Mapping[str, Any]) -> dict[str, Topic]:
    """Return publishers of a stage's ``topics``, by name, in the node's namespace."""
    return {
        name: _PublishedTopic(
            node, message_type_of(declared), topic_name_of(name, declared), _profile(declared)
        )
        for name, declared in topics.items()
    }


def _profile(declared: Any) -> QoSProfile:
    if isinstance(declared, AbsoluteTopic):
        return _profile(declared.declared)
    if isinstance(declared, Latched):
        return qos.latched(1)
    profile = qos.reliable(_DEPTH)
    if name_of(declared) in qos.LARGE_MESSAGES:
        # Images to look at: a late one is useless, and the worker must not wait for subscribers.
        profile.depth, profile.reliability = 1, QoSReliabilityPolicy.BEST_EFFORT
    return profile
