"""A stage's output topic: for whoever else listens.

The stages that follow in the same manager are handed the item itself. They subscribe to the topic
too, for what others publish there; so it carries an item only while somebody else listens as well.

What was handed to listeners outside is noted after it was done. A manager that is killed between
the two has its successor do it once more: a listener may hear the last message twice, with the same
stamp, and never misses one for that reason.
"""

from __future__ import annotations

from typing import Any

from rclpy.duration import Duration

from worker_pipeline.nodes.lifecycle import ManagedNode
from worker_pipeline.runtime.journal import Outbox

# How long a restarted manager waits until it has found those who listened to the one before, s.
REUNION = 3.0


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

    @property
    def listeners(self) -> int:
        """How many subscriptions, not of our own followers, have been found."""
        return max(0, int(self._publisher.get_subscription_count()) - self._followers)

    def publish(self, message: bytes) -> None:
        """Publish a message to those who listen, when the event is over."""
        if not self._waiting:
            listeners = self.listeners
            if listeners != self._noted:
                self._noted = listeners
                self._outbox.journal.note(self._stage, 'listeners', listeners)
            if not listeners:
                return
            self._outbox.do(self._publisher.publish, message, once=True)
        else:
            self._pending.append(message)
        if self._outbox.journal.payloads:
            self._outbox.journal.note(self._stage, 'outside', message)

    def resume(self, listeners: int, pending: list[bytes], now: float) -> None:
        """Go on where an earlier manager ended: first of all find those who listened to it."""
        self._noted = self._expected = listeners
        if listeners:
            self._pending = pending
            self._waiting = True
            self._outbox.kept_back += 1
            self._reunion_ends = now + REUNION

    def tick(self, now: float) -> None:
        """Let time pass: publish what waited for its listeners."""
        if not self._waiting:
            return
        if self.listeners < self._expected and now < self._reunion_ends:
            return
        self._waiting = False
        self._outbox.kept_back -= 1
        pending, self._pending = self._pending, []
        with self._outbox:
            for message in pending:
                self._outbox.do(self._publisher.publish, message, once=True)

    def snapshot(self) -> dict[str, Any]:
        """What a later manager is to know."""
        return {'listeners': self._noted, 'outside': list(self._pending)}

    def flush(self, timeout: float) -> None:
        """Give listeners up to ``timeout`` seconds to have received what was published."""
        self.tick(float('inf'))
        self._publisher.wait_for_all_acked(Duration(seconds=timeout))

    def destroy(self) -> None:
        """Take the topic out of the graph."""
        self._node.destroy_publisher(self._publisher)
