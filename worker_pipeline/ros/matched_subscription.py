# SPDX-License-Identifier: Apache-2.0
"""A subscription that matches its publishers' quality of service, for topics of other packages.

A reliable subscription receives nothing from a best-effort publisher, such as MAVROS or many camera
drivers. Latched messages are sent only to subscriptions that request them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import (
    QoSDurabilityPolicy,
    QoSPolicyKind,
    QoSProfile,
    QoSReliabilityPolicy,
)

from worker_pipeline.ros.lost_messages import LostMessages

_BEST_EFFORT = QoSReliabilityPolicy.BEST_EFFORT
_TRANSIENT_LOCAL = QoSDurabilityPolicy.TRANSIENT_LOCAL


class MatchedSubscription:
    """Reliable if all publishers are, and latched if all of them are.

    When a new publisher requires it, the subscription is recreated before the old one is destroyed,
    so a message may be received twice.

    Args:
        node: The subscribing node.
        message_type: The type of the topic.
        topic: The name of the topic.
        callback: Called with each message.
        profile: The history of the subscription.
        raw: Whether messages are passed on serialised.
        lost_messages: Returns a counter of those of a subscription.
        publishers: Called with the number of publishers when it changes.
    """

    def __init__(
        self,
        node: Node,
        message_type: Any,
        topic: str,
        callback: Callable[[Any], None],
        profile: QoSProfile,
        *,
        raw: bool = False,
        lost_messages: Callable[[Any], LostMessages] | None = None,
        publishers: Callable[[int], None] | None = None,
    ) -> None:
        self._node = node
        self._message_type = message_type
        self._topic = topic
        self._callback = callback
        self._profile = profile
        self._raw = raw
        self._lost_messages = lost_messages
        self._lost: LostMessages | None = None
        self._lost_before = 0  # by former subscriptions, not taken yet
        self._publishers = publishers
        # Policies that some publisher does not offer.
        self._refused: set[int] = set()
        self._offered = self._offer()
        self._subscription: Any = self._create()

    def _offer(self) -> tuple[QoSReliabilityPolicy, QoSDurabilityPolicy]:
        """Return the quality of service that all known publishers offer."""
        offers = [each.qos_profile for each in self._node.get_publishers_info_by_topic(self._topic)]
        is_reliable = QoSPolicyKind.RELIABILITY not in self._refused and all(
            each.reliability is not _BEST_EFFORT for each in offers
        )
        is_latched = QoSPolicyKind.DURABILITY not in self._refused and all(
            each.durability is _TRANSIENT_LOCAL for each in offers
        )
        return (
            QoSReliabilityPolicy.RELIABLE if is_reliable else _BEST_EFFORT,
            _TRANSIENT_LOCAL if is_latched and offers else QoSDurabilityPolicy.VOLATILE,
        )

    def _create(self) -> Any:
        profile = copy.copy(self._profile)
        profile.reliability, profile.durability = self._offered
        subscription = self._node.create_subscription(
            self._message_type,
            self._topic,
            self._callback,
            profile,
            raw=self._raw,
            event_callbacks=SubscriptionEventCallbacks(
                incompatible_qos=self._on_incompatible, matched=self._on_matched
            ),
        )
        self._lost = self._lost_messages(subscription) if self._lost_messages else None
        return subscription

    def _on_incompatible(self, event: Any) -> None:
        self._refused.add(event.last_policy_kind)
        self._schedule_update()

    def _on_matched(self, event: Any) -> None:
        if self._publishers is not None:
            self._publishers(event.current_count)
        self._schedule_update()

    def _schedule_update(self) -> None:
        # Not now: this is a callback of the subscription that may be destroyed.
        executor = self._node.executor
        if executor is not None:
            executor.create_task(self._update)

    def _update(self) -> None:
        offered = self._offer()
        if self._subscription is None or offered == self._offered:
            return
        former, former_lost, self._offered = self._subscription, self._lost, offered
        self._subscription = self._create()
        self._release(former, former_lost)

    def take_lost(self) -> int:
        """Return how many messages were lost since the last call, as far as DDS knows."""
        count = self._lost_before + (self._lost.take() if self._lost is not None else 0)
        self._lost_before = 0
        return count

    def _release(self, subscription: Any, lost: LostMessages | None) -> None:
        if lost is not None:
            self._lost_before += lost.take()
            lost.destroy()
        self._node.destroy_subscription(subscription)

    def destroy(self) -> None:
        """Destroy the subscription."""
        if self._subscription is not None:
            self._release(self._subscription, self._lost)
            self._subscription = self._lost = None
