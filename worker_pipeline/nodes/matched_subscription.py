"""A subscription of what comes from elsewhere, with the quality of service its publishers have.

A camera driver may publish best-effort, as MAVROS does, and is not heard by who asks for more; what
was latched before one came is given only to who asks for that.
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

_BEST_EFFORT = QoSReliabilityPolicy.BEST_EFFORT
_TRANSIENT_LOCAL = QoSDurabilityPolicy.TRANSIENT_LOCAL


class MatchedSubscription:
    """Reliable where all publishers are, and given what was latched where all of them latch.

    Publishers may come at any time: it is then made anew, where that is needed, before the former
    one goes; so a message may come twice. ``profile`` tells its history. ``publishers`` is told how
    many there are when one has come or gone.
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
        # What some publisher does not offer.
        self._refused: set[int] = set()
        self._offered = self._offer()
        self._subscription: Any = self._create()

    def _offer(self) -> tuple[QoSReliabilityPolicy, QoSDurabilityPolicy]:
        """What all publishers offer, as far as they are known."""
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

    def _on_incompatible(self, told: Any) -> None:
        self._refused.add(told.last_policy_kind)
        self._look_soon()

    def _on_matched(self, told: Any) -> None:
        if self._publishers is not None:
            self._publishers(told.current_count)
        self._look_soon()

    def _look_soon(self) -> None:
        # Not here: this is a call of the subscription that is to go.
        executor = self._node.executor
        if executor is not None:
            executor.create_task(self._look)

    def _look(self) -> None:
        offered = self._offer()
        if self._subscription is None or offered == self._offered:
            return
        former, self._offered = self._subscription, offered
        self._subscription = self._create()
        self._node.destroy_subscription(former)

    def destroy(self) -> None:
        """Hear no more."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None
