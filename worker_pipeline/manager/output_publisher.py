# SPDX-License-Identifier: Apache-2.0
"""A stage's output topic, for subscribers other than the stages that follow in the same manager.

Those are handed the item itself. They subscribe to the topic too, for messages of other publishers;
so it carries an item only while another node is subscribed as well.

A message that was published and is not acknowledged yet dies with a manager that is killed. With a
journal its successor publishes it again, once its subscribers have matched it: they miss
nothing for that reason, and may get the last messages twice, with the same stamps.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from rclpy.duration import Duration

from worker_pipeline.frames.registry import FrameRegistry
from worker_pipeline.manager.outbox import Outbox
from worker_pipeline.recovery.records import OutputPublished, OutputsAcked, SubscribersChanged
from worker_pipeline.ros import message_types, qos
from worker_pipeline.ros.lifecycle import ManagedNode

# How long a restarted manager waits for all subscribers of the one before, and for the first of
# them, s.
REMATCH_TIMEOUT = 3.0
FIRST_MATCH_TIMEOUT = 30.0
# How many messages that waited for them are published at a time.
REPLAY_BATCH = 200


class OutputPublisher:
    """The publisher of a stage's output, and its messages still to be published.

    Args:
        node: the stage's.
        stage: its name.
        publisher: of the topic.
        followers: how many stages of the same manager subscribe to it.
        outbox: publishes when an event is over.
        frames: reads frames that are published.
        depth: how many messages are kept for subscribers.
    """

    def __init__(
        self,
        node: ManagedNode,
        stage: str,
        publisher: Any,
        followers: int,
        outbox: Outbox,
        frames: FrameRegistry,
        depth: int,
    ) -> None:
        self._node = node
        self._stage = stage
        self._publisher = publisher
        self._followers = followers
        self._outbox = outbox
        self._frames = frames
        self._depth = depth
        self._recorded = 0  # subscribers, as the journal has it
        self._expected = 0
        self._waiting_since = 0.0
        self._waiting = False
        # With a journal: the unacknowledged messages, and how many were published.
        self._unacked: deque[bytes] = deque()
        self._sent = 0
        # Without: the messages that wait for subscribers.
        self._pending: deque[bytes] = deque(maxlen=depth)

    @property
    def listeners(self) -> int:
        """Return how many subscribers there are besides our own followers."""
        return max(0, int(self._publisher.get_subscription_count()) - self._followers)

    def publish(self, message: bytes) -> None:
        """Publish a message when the event is over, if anybody is subscribed."""
        if not self._outbox.journal.payloads:
            if self._waiting:
                self._pending.append(message)
            elif self._recorded or self._publisher.get_subscription_count() > self._followers:
                self._outbox.after_dispatch(self._send_if_subscribed, message)
            return
        if not self._waiting:
            self._record_acked()
            self._record_listeners()
            if not self._recorded:
                return
            self._outbox.after_dispatch(self._send, message)
        self._outbox.journal.append(self._stage, OutputPublished(message))
        self._unacked.append(message)
        if len(self._unacked) > self._depth:
            self._forget(1)

    def _send_if_subscribed(self, message: bytes) -> None:
        if self.listeners != self._recorded:
            with self._outbox:
                self._record_listeners()
        if self._recorded:
            self._send(message)

    def _send(self, message: bytes) -> None:
        self._publisher.publish(self._frames.materialize(message))
        self._sent += 1

    def _record_listeners(self) -> None:
        listeners = self.listeners
        if listeners != self._recorded:
            self._recorded = listeners
            self._outbox.journal.append(self._stage, SubscribersChanged(listeners))

    def _record_acked(self) -> None:
        if self._sent and self._unacked and self._publisher.wait_for_all_acked(Duration()):
            self._forget(self._sent)

    def _forget(self, count: int) -> None:
        """Forget the oldest ``count`` messages: acknowledged, or more than are kept."""
        for _ in range(min(count, len(self._unacked))):
            self._unacked.popleft()
        self._sent = max(0, self._sent - count)
        self._outbox.journal.append(self._stage, OutputsAcked(count))

    def resume(self, listeners: int, unacked: list[bytes], now: float) -> None:
        """Continue after an earlier manager, first of all by waiting for its subscribers.

        Args:
            listeners: how many they were.
            unacked: the messages that they may not have received.
            now: s.
        """
        self._recorded = self._expected = listeners
        # The earlier manager may have had a journal, and this one none.
        kept = self._unacked if self._outbox.journal.payloads else self._pending
        kept.extend(unacked)
        self._waiting = listeners > 0
        self._waiting_since = now

    def tick(self, now: float) -> None:
        """Publish the waiting messages, and check which were received."""
        if self._waiting:
            listeners = self.listeners
            late = now - self._waiting_since
            # The others do not wait long for those that do not come back. While there is nobody
            # yet, waiting costs nothing.
            timeout = REMATCH_TIMEOUT if listeners else FIRST_MATCH_TIMEOUT
            if listeners >= self._expected or late > timeout:
                self._replay()
        else:
            with self._outbox:
                self._record_acked()
                self._record_listeners()

    def _replay(self) -> None:
        # In batches, so that a subscriber can keep up.
        waiting = [*self._unacked][self._sent :] or [*self._pending]
        for message in waiting[:REPLAY_BATCH]:
            self._send(message)
        for _ in range(min(REPLAY_BATCH, len(self._pending))):
            self._pending.popleft()
        self._waiting = len(waiting) > REPLAY_BATCH

    def snapshot(self) -> dict[str, Any]:
        """Return the state for a later manager, as plain values."""
        return {'subscribers': self._recorded, 'unacked_outputs': list(self._unacked)}

    def flush(self, timeout: float) -> None:
        """Wait up to ``timeout`` s until subscribers have received all messages."""
        while self._waiting:
            self.tick(float('inf'))
        self._publisher.wait_for_all_acked(Duration(seconds=timeout))

    def destroy(self) -> None:
        """Take the topic out of the graph."""
        self._node.destroy_publisher(self._publisher)


def open_output(
    node: ManagedNode,
    stage: str,
    output_type: str,
    *,
    is_context: bool,
    followers: int,
    outbox: Outbox,
    frames: FrameRegistry,
) -> OutputPublisher:
    """Return the publisher of a stage's output, which keeps as much as its type allows.

    Args:
        node: the stage's.
        stage: its name.
        output_type: the name of the messages' type.
        is_context: whether another stage uses the output as a context, which is latched.
        followers: how many stages of the same manager subscribe to it.
        outbox: publishes when an event is over.
        frames: reads frames that are published.
    """
    depth = qos.LARGE_OUTPUT_DEPTH if output_type in qos.LARGE_MESSAGES else qos.OUTPUT_DEPTH
    profile = qos.latched(qos.CONTEXT_DEPTH) if is_context else qos.reliable(depth)
    message_type = message_types.class_of(output_type)
    publisher = node.create_publisher(message_type, f'{stage}/output', profile)
    return OutputPublisher(node, stage, publisher, followers, outbox, frames, depth)
