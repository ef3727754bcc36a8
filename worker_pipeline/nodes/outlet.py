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

from worker_pipeline.nodes.lifecycle import ManagedNode
from worker_pipeline.runtime.frame_keeper import FrameKeeper
from worker_pipeline.runtime.outbox import Outbox

# How long a restarted manager waits for all who listened to the one before, and for the first of
# them, s.
REUNION = 3.0
PATIENCE = 30.0
# How many messages that waited for them are published at a time.
PORTION = 200


class Outlet:
    """The publisher of a stage's output, and what is still to be published."""

    def __init__(
        self,
        node: ManagedNode,
        stage: str,
        publisher: Any,
        followers: int,
        outbox: Outbox,
        frames: FrameKeeper,
        depth: int,
    ) -> None:
        self._node = node
        self._stage = stage
        self._publisher = publisher
        self._followers = followers
        self._outbox = outbox
        self._frames = frames
        self._depth = depth
        self._noted = 0
        self._expected = 0
        self._waits_since = 0.0
        self._waiting = False
        # With a journal: what is not known to be received, and how many of it were published.
        self._unheard: deque[bytes] = deque()
        self._sent = 0
        # Without: what waits for its listeners.
        self._pending: deque[bytes] = deque(maxlen=depth)

    @property
    def listeners(self) -> int:
        """How many subscriptions, not of our own followers, have been found."""
        return max(0, int(self._publisher.get_subscription_count()) - self._followers)

    def publish(self, message: bytes) -> None:
        """Publish a message to those who listen, when the event is over."""
        if not self._outbox.journal.payloads:
            if self._waiting:
                self._pending.append(message)
            else:
                self._outbox.do_last(self._offer, message)
            return
        if not self._waiting:
            self._note_heard()
            self._note_listeners()
            if not self._noted:
                return
            self._outbox.do_last(self._send, message)
        self._outbox.journal.note(self._stage, 'outside', message)
        self._unheard.append(message)
        if len(self._unheard) > self._depth:
            self._forget(1)

    def _offer(self, message: bytes) -> None:
        if self.listeners != self._noted:
            with self._outbox:
                self._note_listeners()
        if self._noted:
            self._send(message)

    def _send(self, message: bytes) -> None:
        self._publisher.publish(self._frames.whole(message))
        self._sent += 1

    def _note_listeners(self) -> None:
        listeners = self.listeners
        if listeners != self._noted:
            self._noted = listeners
            self._outbox.journal.note(self._stage, 'listeners', listeners)

    def _note_heard(self) -> None:
        if self._sent and self._unheard and self._publisher.wait_for_all_acked(Duration()):
            self._forget(self._sent)

    def _forget(self, count: int) -> None:
        """So many, the oldest, have been heard, or are too many to be kept."""
        for _ in range(min(count, len(self._unheard))):
            self._unheard.popleft()
        self._sent = max(0, self._sent - count)
        self._outbox.journal.note(self._stage, 'heard', count)

    def resume(self, listeners: int, unheard: list[bytes], now: float) -> None:
        """Go on where an earlier manager ended: first of all find those who listened to it."""
        self._noted = self._expected = listeners
        self._unheard.extend(unheard)
        self._waiting = listeners > 0
        self._waits_since = now

    def tick(self, now: float) -> None:
        """Let time pass: publish what waited for its listeners, and see what they have received."""
        if self._waiting:
            listeners = self.listeners
            late = now - self._waits_since
            # For those who do not come back the others do not wait long. With nobody there yet it
            # costs nothing.
            if listeners >= self._expected or late > (REUNION if listeners else PATIENCE):
                self._catch_up()
        else:
            with self._outbox:
                self._note_heard()
                self._note_listeners()

    def _catch_up(self) -> None:
        # In portions, so that a listener can keep up.
        waiting = [*self._unheard][self._sent :] or [*self._pending]
        for message in waiting[:PORTION]:
            self._send(message)
        for _ in range(min(PORTION, len(self._pending))):
            self._pending.popleft()
        self._waiting = len(waiting) > PORTION

    def snapshot(self) -> dict[str, Any]:
        """What a later manager is to know."""
        return {'listeners': self._noted, 'outside': list(self._unheard)}

    def flush(self, timeout: float) -> None:
        """Give listeners up to ``timeout`` seconds to have received what was published."""
        while self._waiting:
            self.tick(float('inf'))
        self._publisher.wait_for_all_acked(Duration(seconds=timeout))

    def destroy(self) -> None:
        """Take the topic out of the graph."""
        self._node.destroy_publisher(self._publisher)
