"""A stage's output topic: for whoever else listens.

The stages that follow in the same manager are handed the item itself. They subscribe to the topic
too, for what others publish there; so it carries an item only while somebody else listens as well.

A message that was published and not yet acknowledged dies with a manager that is killed. With a
journal its successor publishes it again, once those who listened have found it: a listener misses
nothing for that reason, and may hear the last messages twice, with the same stamps.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from rclpy.duration import Duration

from worker_pipeline.nodes import qos
from worker_pipeline.nodes.lifecycle import ManagedNode
from worker_pipeline.runtime.journal import Outbox

# How long a restarted manager waits until it has found those who listened to the one before, s.
REUNION = 3.0
# How many messages that waited for them are published at a time.
PORTION = 200


class Outlet:
    """The publisher of a stage's output, and what is still to be published."""

    def __init__(
        self, node: ManagedNode, stage: str, publisher: Any, followers: int, outbox: Outbox
    ) -> None:
        self._node = node
        self._stage = stage
        self._publisher = publisher
        self._followers = followers
        self._outbox = outbox
        self._noted = 0
        self._expected = 0
        self._reunion_ends = 0.0
        self._waiting = False
        self._pending: list[bytes] = []
        # Published, and not yet known to be received; only with a journal.
        self._unheard: deque[bytes] = deque(maxlen=qos.OUTPUT_DEPTH)

    @property
    def listeners(self) -> int:
        """How many subscriptions, not of our own followers, have been found."""
        return max(0, int(self._publisher.get_subscription_count()) - self._followers)

    def publish(self, message: bytes) -> None:
        """Publish a message to those who listen, when the event is over."""
        if self._waiting:
            self._pending.append(message)
        else:
            listeners = self.listeners
            if listeners != self._noted:
                self._noted = listeners
                self._outbox.journal.note(self._stage, 'listeners', listeners)
            if not listeners:
                return
            self._outbox.do(self._publisher.publish, message)
        self._note_unheard(message)

    def _note_unheard(self, message: bytes) -> None:
        if self._outbox.journal.payloads:
            self._outbox.journal.note(self._stage, 'outside', message)
            if not self._waiting:
                self._unheard.append(message)

    def resume(self, listeners: int, pending: list[bytes], now: float) -> None:
        """Go on where an earlier manager ended: first of all find those who listened to it."""
        self._noted = self._expected = listeners
        if listeners:
            self._pending = pending
            self._waiting = True
            self._reunion_ends = now + REUNION

    def tick(self, now: float) -> None:
        """Let time pass: publish what waited for its listeners, and see what they have received."""
        if self._waiting:
            if self.listeners >= self._expected or now >= self._reunion_ends:
                self._catch_up()
        elif self._unheard and self._publisher.wait_for_all_acked(Duration()):
            self._unheard.clear()
            with self._outbox:
                self._outbox.journal.note(self._stage, 'heard')

    def _catch_up(self) -> None:
        # In portions, so that a listener can keep up.
        portion, self._pending = self._pending[:PORTION], self._pending[PORTION:]
        self._waiting = bool(self._pending)
        with self._outbox:
            for message in portion:
                self._outbox.do(self._publisher.publish, message)
        self._unheard.extend(portion)

    def snapshot(self) -> dict[str, Any]:
        """What a later manager is to know."""
        return {'listeners': self._noted, 'outside': [*self._unheard, *self._pending]}

    def flush(self, timeout: float) -> None:
        """Give listeners up to ``timeout`` seconds to have received what was published."""
        while self._waiting:
            self.tick(float('inf'))
        self._publisher.wait_for_all_acked(Duration(seconds=timeout))

    def destroy(self) -> None:
        """Take the topic out of the graph."""
        self._node.destroy_publisher(self._publisher)
