# SPDX-License-Identifier: Apache-2.0
"""A stage's output topic, for subscribers other than the stages that follow in the same manager.

Those are handed the item itself. They subscribe to the topic too, for messages of other publishers;
so it carries an item only while another node is subscribed as well.

A message that was published and is not acknowledged yet dies with a manager that is killed. With a
journal its successor publishes it again, once its subscribers have matched it: they miss
nothing for that reason, and may get the last messages twice, with the same stamps.

A manager that stands still is taken for dead after a while. Then it does the same, with a journal
or without: what is not acknowledged, and what is published next, waits until its subscribers have
matched it again.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from typing import Any

from rclpy.duration import Duration

from worker_pipeline.frames.registry import FrameRegistry, TrackedReference
from worker_pipeline.manager.outbox import Outbox
from worker_pipeline.recovery.records import OutputPublished, OutputsAcked, SubscribersChanged
from worker_pipeline.ros import message_types, qos
from worker_pipeline.ros.dds_profile import LEASE
from worker_pipeline.ros.lifecycle import ManagedNode
from worker_pipeline.system.clocks import boottime

# How long a restarted manager waits for all subscribers of the one before, and for the first of
# them, s.
REMATCH_TIMEOUT = 3.0
FIRST_MATCH_TIMEOUT = 30.0
# A manager that has stood still for so long may have been taken for dead, s: its last announcement
# may have come late, or not at all.
REMATCH_AFTER = LEASE / 2
# After a shorter time they have not, unless one is seen to be missing.
SURELY_MATCHED = LEASE - 1.0
# Then DDS is given this long to find out who has lost whom, s.
SETTLING = 1.0
# How many messages that waited for them are published at a time.
REPLAY_BATCH = 200


class OutputPublisher:
    """The publisher of a stage's output, and its messages still to be published.

    Args:
        node: the stage's.
        stage: its name.
        publisher: of the topic.
        own_subscriptions: how many the manager itself has, by stage: of stages that follow.
        outbox: publishes when an event is over.
        frames: reads frames that are published.
        depth: how many messages are kept for subscribers.
    """

    def __init__(
        self,
        node: ManagedNode,
        stage: str,
        publisher: Any,
        own_subscriptions: Counter[str],
        outbox: Outbox,
        frames: FrameRegistry,
        depth: int,
    ) -> None:
        self._node = node
        self._stage = stage
        self._publisher = publisher
        self._own_subscriptions = own_subscriptions
        self._outbox = outbox
        self._frames = frames
        self._depth = depth
        self._recorded = 0  # subscribers, as the journal has it
        self._expected = 0
        self._waiting_since = 0.0
        self._waiting = False
        # The messages that are unacknowledged or wait, and how many of them were published.
        self._unacked: deque[bytes] = deque()
        self._sent = 0
        self._frames_unacked = 0  # published without being kept
        self._overflowed = 0  # that waited, and were too many
        self.lost = 0  # that subscribers may have missed since a pause or a restart
        self._seen_at = boottime()
        # After a pause, how many messages will be known as acknowledged if no subscriber was lost.
        self._sent_before = 0

    @property
    def listeners(self) -> int:
        """Return how many subscribers there are besides our own followers."""
        count = self._publisher.get_subscription_count() - self._own_subscriptions[self._stage]
        return max(0, int(count))

    def publish(self, message: bytes) -> None:
        """Publish a message when the event is over, if anybody is subscribed."""
        self._note_hold_up()
        if self._waiting:
            self._keep(message)
        elif self._is_journaled:
            self._record_acked()
            self._record_listeners()
            if self._recorded:
                self._outbox.after_dispatch(self._send_kept)
                self._keep(message)
        elif self._recorded or self.listeners:
            self._outbox.after_dispatch(self._send_if_subscribed, message)

    @property
    def _is_journaled(self) -> bool:
        return self._outbox.journal.payloads

    def _keep(self, message: bytes) -> None:
        """Keep a message until it is acknowledged, also for a later manager."""
        if self._is_journaled:
            self._outbox.journal.append(self._stage, OutputPublished(message))
        self._unacked.append(message)
        if len(self._unacked) > self._depth:
            self._overflowed += self._waiting and not self._sent
            self._forget(1)

    def _send_if_subscribed(self, message: bytes) -> None:
        self._note_hold_up()
        if self._waiting:  # since a moment ago
            self._keep(message)
            return
        if self.listeners != self._recorded:
            with self._outbox:
                self._record_listeners()
        if not self._recorded:
            return
        if isinstance(message, TrackedReference):
            # Kept, it would take frame memory.
            self._frames_unacked += 1
            self._publisher.publish(self._frames.materialize(message))
        else:
            self._keep(message)
            self._send_kept()

    def _send_kept(self) -> None:
        """Publish the oldest kept message that is not published yet."""
        if not self._waiting and self._sent < len(self._unacked):
            self._publisher.publish(self._frames.materialize(self._unacked[self._sent]))
            self._sent += 1

    def _record_listeners(self) -> None:
        listeners = self.listeners
        if listeners != self._recorded:
            self._recorded = listeners
            self._outbox.journal.append(self._stage, SubscribersChanged(listeners))

    def _record_acked(self) -> None:
        is_due = self._frames_unacked or (self._sent and self._unacked)
        if is_due and self._publisher.wait_for_all_acked(Duration()):
            self._frames_unacked = 0
            self._forget(self._sent)

    def _forget(self, count: int) -> None:
        """Forget the oldest ``count`` messages: acknowledged, or more than are kept."""
        for _ in range(min(count, len(self._unacked))):
            self._unacked.popleft()
        self._sent = max(0, self._sent - count)
        if count and self._is_journaled:
            self._outbox.journal.append(self._stage, OutputsAcked(count))

    def resume(self, listeners: int, unacked: list[bytes], now: float, lost: int = 0) -> None:
        """Continue after an earlier manager, first of all by waiting for its subscribers.

        Args:
            listeners: how many they were.
            unacked: the messages that they may not have received.
            now: s.
            lost: how many were lost to them.
        """
        self.lost = lost
        self._recorded = self._expected = listeners
        self._unacked.extend(unacked)
        self._waiting = listeners > 0
        self._waiting_since = now

    def _note_hold_up(self) -> None:
        """Wait for the subscribers if this process, or the machine, has stood still for long."""
        seen_at, self._seen_at = self._seen_at, boottime()
        seconds = self._seen_at - seen_at
        if seconds <= REMATCH_AFTER or not self._recorded:
            return
        self._sent_before = self._sent if seconds < SURELY_MATCHED and not self._waiting else 0
        self._expected = max(self._recorded, self._expected if self._waiting else 0)
        self._waiting = True
        self._waiting_since = time.monotonic() + SETTLING
        self._sent = 0  # all that is not known to be acknowledged is published again
        self.lost += self._frames_unacked
        self._frames_unacked = 0

    def tick(self, now: float) -> None:
        """Publish the waiting messages, and check which were received."""
        self._note_hold_up()
        if self._waiting:
            listeners = self.listeners
            late = now - self._waiting_since
            # The others do not wait long for those that do not come back. While there is nobody
            # yet, waiting costs nothing.
            timeout = REMATCH_TIMEOUT if listeners else FIRST_MATCH_TIMEOUT
            if listeners < self._expected:
                self._sent_before = 0
            if late >= 0 and (listeners >= self._expected or late > timeout):
                self._forget_acked_before()
                self._note_missing(listeners)
                self._replay()
        else:
            with self._outbox:
                self._record_acked()
                self._record_listeners()

    def _note_missing(self, listeners: int) -> None:
        if listeners < self._expected:
            self._node.get_logger().warning(
                f'{self._stage}/output: {self._expected - listeners} of {self._expected} former '
                'subscribers have not come back; they may miss messages'
            )
        self._expected = 0

    def _forget_acked_before(self) -> None:
        count, self._sent_before = self._sent_before, 0
        if count and self._publisher.wait_for_all_acked(Duration()):
            self._forget(count)

    def _replay(self) -> None:
        # In batches, so that a subscriber can keep up.
        self._waiting = False
        for _ in range(REPLAY_BATCH):
            self._send_kept()
        self._waiting = self._sent < len(self._unacked)
        if not self._waiting and self._overflowed:
            self._note_overflow()

    def _note_overflow(self) -> None:
        count, self._overflowed = self._overflowed, 0
        if self.listeners:
            self.lost += count
            self._node.get_logger().warning(
                f'{self._stage}/output: {count} messages are lost to subscribers: more than '
                f'{self._depth} had to wait for them'
            )

    def values(self) -> dict[str, int]:
        """Return the figures for ``/diagnostics``."""
        return {'listeners': self.listeners, 'outputs_lost': self.lost}

    def snapshot(self) -> dict[str, Any]:
        """Return the state for a later manager, as plain values."""
        return {
            'subscribers': self._recorded,
            'unacked_outputs': list(self._unacked),
            'outputs_lost': self.lost,
        }

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
    own_subscriptions: Counter[str],
    outbox: Outbox,
    frames: FrameRegistry,
) -> OutputPublisher:
    """Return the publisher of a stage's output, which keeps as much as its type allows.

    Args:
        node: the stage's.
        stage: its name.
        output_type: the name of the messages' type.
        is_context: whether another stage uses the output as a context, which is latched.
        own_subscriptions: how many the manager itself has, by stage.
        outbox: publishes when an event is over.
        frames: reads frames that are published.
    """
    depth = qos.LARGE_OUTPUT_DEPTH if output_type in qos.LARGE_MESSAGES else qos.OUTPUT_DEPTH
    profile = qos.latched(qos.CONTEXT_DEPTH) if is_context else qos.reliable(depth)
    message_type = message_types.class_of(output_type)
    publisher = node.create_publisher(message_type, f'{stage}/output', profile)
    return OutputPublisher(node, stage, publisher, own_subscriptions, outbox, frames, depth)
