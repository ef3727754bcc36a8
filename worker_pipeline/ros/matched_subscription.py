# SPDX-License-Identifier: Apache-2.0
"""A subscription that matches its publishers' quality of service, for topics of other packages.

A reliable subscription receives nothing from a best-effort publisher, such as MAVROS or many camera
drivers. Latched messages are sent only to subscriptions that request them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import (
    QoSDurabilityPolicy,
    QoSPolicyKind,
    QoSProfile,
    QoSReliabilityPolicy,
)

from worker_pipeline.core.matched_qos import MatchedQos, Qos

# How often, and for how many times, to look at the graph after publishers have come or gone: it may
# list that later than DDS reports it.
GRAPH_PERIOD, GRAPH_CHECKS = 0.5, 6  # s
_BEST_EFFORT = QoSReliabilityPolicy.BEST_EFFORT
_TRANSIENT_LOCAL = QoSDurabilityPolicy.TRANSIENT_LOCAL


class MatchedSubscription:
    """Reliable if all present publishers are, and latched if all of them are.

    When publishers that come or go require it, the subscription is recreated before the old one is
    destroyed, so a message may be received twice.

    Args:
        node: The subscribing node.
        message_type: The type of the topic.
        topic: The name of the topic.
        callback: Called with each message.
        profile: The history of the subscription.
        raw: Whether messages are passed on serialised.
        message_lost: Called with DDS's count of lost messages.
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
        message_lost: Callable[[Any], None] | None = None,
        publishers: Callable[[int], None] | None = None,
    ) -> None:
        self._node = node
        self._message_type = message_type
        self._topic = topic
        self._callback = callback
        self._profile = profile
        self._raw = raw
        self._message_lost = message_lost
        self._publishers = publishers
        self._qos = MatchedQos()
        self._checks_left = 0
        self._timer: Any = None
        self._demanded = self._demand()
        self._subscription: Any = self._create()

    def _demand(self) -> Qos:
        """Return the quality of service that all known publishers offer."""
        offers = [each.qos_profile for each in self._node.get_publishers_info_by_topic(self._topic)]
        return self._qos.demand(
            [
                Qos(
                    is_reliable=each.reliability is not _BEST_EFFORT,
                    is_latched=each.durability is _TRANSIENT_LOCAL,
                )
                for each in offers
            ]
        )

    def _create(self) -> Any:
        profile = copy.copy(self._profile)
        profile.reliability = (
            QoSReliabilityPolicy.RELIABLE if self._demanded.is_reliable else _BEST_EFFORT
        )
        profile.durability = (
            _TRANSIENT_LOCAL if self._demanded.is_latched else QoSDurabilityPolicy.VOLATILE
        )
        return self._node.create_subscription(
            self._message_type,
            self._topic,
            self._callback,
            profile,
            raw=self._raw,
            event_callbacks=SubscriptionEventCallbacks(
                incompatible_qos=self._on_incompatible,
                matched=self._on_matched,
                message_lost=self._message_lost,
            ),
        )

    def _on_incompatible(self, event: Any) -> None:
        if event.last_policy_kind == QoSPolicyKind.RELIABILITY:
            self._qos.refuse_reliability()
        elif event.last_policy_kind == QoSPolicyKind.DURABILITY:
            self._qos.refuse_durability()
        self._schedule_update()

    def _on_matched(self, event: Any) -> None:
        if self._publishers is not None:
            self._publishers(event.current_count)
        self._schedule_update()

    def _schedule_update(self) -> None:
        # Not now: this is a callback of the subscription that may be destroyed.
        executor = self._node.executor
        if executor is not None:
            executor.create_task(self._update_until_settled)

    def _update_until_settled(self) -> None:
        if self._subscription is None:
            return
        self._checks_left = GRAPH_CHECKS
        if self._timer is None:
            steady = Clock(clock_type=ClockType.STEADY_TIME)
            self._timer = self._node.create_timer(GRAPH_PERIOD, self._check, clock=steady)
        else:
            self._timer.reset()
        self._update()

    def _check(self) -> None:
        self._checks_left -= 1
        if self._checks_left <= 0:
            self._timer.cancel()
            self._qos.settle()
        self._update()

    def _update(self) -> None:
        demanded = self._demand()
        if self._subscription is None or demanded == self._demanded:
            return
        former, self._demanded = self._subscription, demanded
        self._subscription = self._create()
        self._node.destroy_subscription(former)

    def destroy(self) -> None:
        """Destroy the subscription."""
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
            self._timer = None
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None
