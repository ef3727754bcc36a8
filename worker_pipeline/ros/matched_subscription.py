# SPDX-License-Identifier: Apache-2.0
"""A subscription that matches its publishers' quality of service, for topics of other packages.

A reliable subscription receives nothing from a best-effort publisher, such as MAVROS or many camera
drivers. Latched messages are sent only to subscriptions that request them.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from rclpy.node import Node
from rclpy.qos import (
    QoSDurabilityPolicy,
    QoSPolicyKind,
    QoSProfile,
    QoSReliabilityPolicy,
)

from worker_pipeline.core.matched_qos import Demand, MatchedQos, Offer
from worker_pipeline.ros.message_types import name_of
from worker_pipeline.ros.subscription_status import NO_CALLBACKS, SubscriptionStatus
from worker_pipeline.ros.turn_reader import RawSubscription

# How long a replaced subscription stays, s. Its successor counts as matched at once; a publisher
# sends to it only after it has discovered it, and DDS does not report that here.
KEPT_TIME = 1.5
# For how long messages that both receive are passed on once, s: the successor may have some unread.
HANDOVER_TIME = 2.0
_BEST_EFFORT, _RELIABLE = QoSReliabilityPolicy.BEST_EFFORT, QoSReliabilityPolicy.RELIABLE
_TRANSIENT_LOCAL, _VOLATILE = QoSDurabilityPolicy.TRANSIENT_LOCAL, QoSDurabilityPolicy.VOLATILE


class _Open(NamedTuple):
    subscription: Any
    status: SubscriptionStatus
    received: set[int]  # hashes of the messages that came while another was open too
    on_message: Callable[[Any], None]


class MatchedSubscription:
    """Reliable if all present publishers are, and latched if all of them are.

    When publishers that come or go require it, the subscription is replaced. The former one stays
    for a while, so nothing is missed; messages that both receive are passed on once, if serialised.

    Args:
        node: The subscribing node. It calls ``tick`` several times a second, on its executor's
            thread.
        message_type: The type of the topic.
        topic: The name of the topic.
        callback: Called with each message.
        profile: The history of the subscription.
        raw: Whether messages are passed on serialised.
        status_of: Returns the status of a subscription.
        publishers: Called with the number of publishers when it changes.

    ``other_types``: the message types by which others publish on the topic, which DDS does not
    match. Fast DDS reports no event of it, and the graph lists them.
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
        status_of: Callable[[Any], SubscriptionStatus] = SubscriptionStatus,
        publishers: Callable[[int], None] | None = None,
    ) -> None:
        self._node = node
        self._message_type = message_type
        self._topic = topic
        self._callback = callback
        self._profile = profile
        self._raw = raw
        self._status_of = status_of
        self._publishers = publishers
        self._publisher_count = 0
        self._type = name_of(message_type)
        self.other_types: frozenset[str] = frozenset()
        self._lost_before = 0  # by former subscriptions, not taken yet
        self._former: _Open | None = None
        self._replaced_at = float('-inf')
        # What each of the two has received since the replacement, until no more can come twice.
        self._both: tuple[set[int], set[int]] | None = None
        now = time.monotonic()
        self._qos = MatchedQos(now)
        self._current: _Open | None = self._create(self._qos.look(self._offers(), now))

    def _offers(self) -> list[Offer]:
        found = self._node.get_publishers_info_by_topic(self._topic)
        self._note_types(frozenset(each.topic_type for each in found) - {self._type})
        return [
            Offer(
                tuple(each.endpoint_gid),
                each.qos_profile.reliability is not _BEST_EFFORT,
                each.qos_profile.durability is _TRANSIENT_LOCAL,
            )
            for each in found
            if each.topic_type == self._type
        ]

    def _note_types(self, others: frozenset[str]) -> None:
        for each in sorted(others - self.other_types):
            self._node.get_logger().warning(
                f'{self._topic}: a publisher is not received: found messages of {each};'
                f' allowed: {self._type}'
            )
        self.other_types = others

    def _create(self, demand: Demand) -> _Open:
        profile = copy.copy(self._profile)
        profile.reliability = _RELIABLE if demand.is_reliable else _BEST_EFFORT
        profile.durability = _TRANSIENT_LOCAL if demand.is_latched else _VOLATILE
        received: set[int] = set()
        on_message = partial(self._on_message, received) if self._raw else self._callback
        subscription = self._node.create_subscription(
            self._message_type,
            self._topic,
            on_message,
            profile,
            raw=self._raw,
            event_callbacks=NO_CALLBACKS,
        )
        return _Open(subscription, self._status_of(subscription), received, on_message)

    def _on_message(self, received: set[int], message: bytes) -> None:
        if self._both is not None:
            key = hash(message)
            former, successor = self._both
            other = former if received is successor else successor
            if key in other:
                other.remove(key)  # another one may be equal
                return
            received.add(key)
        self._callback(message)

    def tick(self, now: float) -> None:
        """Follow the publishers. ``now``: s, by ``time.monotonic``."""
        if self._current is None:
            return
        self._note_publishers(self._current.status, now)
        if self._both is not None:
            self._hand_over(self._both, now)
        elif self._qos.is_due(now):
            before = self._qos.demand
            demand = self._qos.look(self._offers(), now)
            if demand != before:
                self._former, self._current = self._current, self._create(demand)
                self._both = self._former.received, self._current.received
                self._replaced_at = now

    def _note_publishers(self, status: SubscriptionStatus, now: float) -> None:
        policy = status.take_refused_policy()
        if policy == QoSPolicyKind.RELIABILITY:
            self._qos.refuse_reliability(now)
        elif policy == QoSPolicyKind.DURABILITY:
            self._qos.refuse_durability(now)
        elif policy is not None:
            self._node.get_logger().warning(
                f'{self._topic}: a publisher is not received, as its {policy.name} does not match'
            )
        count = status.publisher_count()
        if self._former is not None:  # the successor may not be matched yet
            count = max(count, self._former.status.publisher_count())
        if count != self._publisher_count:
            self._publisher_count = count
            self._qos.publishers_changed(now)
            if self._publishers is not None:
                self._publishers(count)

    def _hand_over(self, both: tuple[set[int], set[int]], now: float) -> None:
        """Release the former subscription after a while, and then the hashes of messages."""
        since = now - self._replaced_at
        if self._former is not None and since >= KEPT_TIME:
            self._release(self._former)
            self._former = None
        if self._former is None and since >= HANDOVER_TIME:
            self._both = None
            for each in both:
                each.clear()

    @property
    def open(self) -> list[RawSubscription]:
        """Return the present subscription, and the former one while it is kept."""
        both = self._former, self._current
        return [RawSubscription(each.subscription, each.on_message) for each in both if each]

    def take_lost(self) -> int:
        """Return how many messages were lost since the last call, as far as DDS knows."""
        count, self._lost_before = self._lost_before, 0
        return count + (self._current.status.take_lost() if self._current is not None else 0)

    def _release(self, opened: _Open) -> None:
        self._lost_before += opened.status.take_lost()
        opened.status.destroy()
        self._node.destroy_subscription(opened.subscription)

    def destroy(self) -> None:
        """Destroy the subscription."""
        for each in (self._former, self._current):
            if each is not None:
                self._release(each)
        self._former = self._current = None
