# SPDX-License-Identifier: Apache-2.0
"""Counts the messages that a subscription has lost, by asking for the number now and then.

A ``message_lost`` callback would report them, but it can stop the whole process for good
(rmw_fastrtps 9.3.3): taking the event, the executor locks the event and then the reader; a thread
of DDS that finds a loss locks the reader and then, to announce the event, the event
(https://github.com/ros2/rmw_fastrtps/pull/890). Without a callback DDS announces nothing and only
counts, so nobody locks in the opposite order.
"""

from __future__ import annotations

import contextlib
from typing import Any

from rclpy.event_handler import QoSSubscriptionEventType, UnsupportedEventTypeError
from rclpy.impl.implementation_singleton import rclpy_implementation


class LostMessages:
    """Those of one subscription.

    Args:
        subscription: Of rclpy.
    """

    def __init__(self, subscription: Any) -> None:
        self._event: Any = None
        with (
            subscription.handle,
            # Not an `EventHandler`: an executor would give that a callback.
            contextlib.suppress(UnsupportedEventTypeError),
        ):
            self._event = rclpy_implementation.EventHandle(
                subscription.handle, QoSSubscriptionEventType.RCL_SUBSCRIPTION_MESSAGE_LOST
            )

    def take(self) -> int:
        """Return how many messages were lost since the last call."""
        if self._event is None:
            return 0
        with self._event:
            status = self._event.take_event()
        return status.total_count_change if status is not None else 0

    def destroy(self) -> None:
        """Release the event, before the subscription is destroyed."""
        if self._event is not None:
            self._event.destroy_when_not_in_use()
            self._event = None
