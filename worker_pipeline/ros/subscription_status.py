# SPDX-License-Identifier: Apache-2.0
"""What DDS knows of a subscription: lost messages, publishers that do not match.

It is asked for. Callbacks would announce it, but each of them can end or hang the whole process:

- Taking a ``message_lost`` event, the executor locks the event and then the reader; a thread of DDS
  that finds a loss locks the reader and then, to announce it, the event. In a flood both wait for
  each other for good (rmw_fastrtps 9.3.3, https://github.com/ros2/rmw_fastrtps/pull/890).
- When a subscription with callbacks is destroyed while one of its events waits in rclpy's events
  executor, the process crashes (rclpy 9.1.2, https://github.com/ros2/rclpy/issues/1644).

Without callbacks DDS only counts, so nobody locks in the opposite order and nothing waits.
"""

from __future__ import annotations

import contextlib
from typing import Any

from rclpy.event_handler import (
    QoSSubscriptionEventType,
    SubscriptionEventCallbacks,
    UnsupportedEventTypeError,
)
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.qos import QoSPolicyKind

# For ``create_subscription``: no callbacks, also not those that rclpy has for itself.
NO_CALLBACKS = SubscriptionEventCallbacks(use_default_callbacks=False)


class SubscriptionStatus:
    """That of one subscription, which was created with ``NO_CALLBACKS``.

    Args:
        subscription: Of rclpy.
    """

    def __init__(self, subscription: Any) -> None:
        self._subscription = subscription
        self._events: dict[QoSSubscriptionEventType, Any] = {}

    def take_lost(self) -> int:
        """Return how many messages were lost since the last call."""
        status = self._take(QoSSubscriptionEventType.RCL_SUBSCRIPTION_MESSAGE_LOST)
        return 0 if status is None else int(status.total_count_change)

    def take_refused_policy(self) -> QoSPolicyKind | None:
        """Return the policy by which a publisher did not match since the last call, or None."""
        kind = QoSSubscriptionEventType.RCL_SUBSCRIPTION_REQUESTED_INCOMPATIBLE_QOS
        status = self._take(kind)
        if status is None or not status.total_count_change:
            return None
        return QoSPolicyKind(status.last_policy_kind)

    def publisher_count(self) -> int:
        """Return how many publishers it is matched with."""
        return int(self._subscription.get_publisher_count())

    def _take(self, kind: QoSSubscriptionEventType) -> Any:
        if kind not in self._events:
            self._events[kind] = self._create(kind)
        event = self._events[kind]
        if event is None:
            return None
        with event:
            return event.take_event()

    def _create(self, kind: QoSSubscriptionEventType) -> Any:
        handle = self._subscription.handle
        with handle, contextlib.suppress(UnsupportedEventTypeError):
            # Not an `EventHandler`: an executor would give that a callback.
            return rclpy_implementation.EventHandle(handle, kind)
        return None

    def destroy(self) -> None:
        """Release it, before the subscription is destroyed."""
        for event in self._events.values():
            if event is not None:
                event.destroy_when_not_in_use()
        self._events.clear()
