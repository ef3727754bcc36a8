# SPDX-License-Identifier: Apache-2.0
"""The inputs of a stage: its subscriptions, and the messages lost on the way to it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection
from functools import partial
from typing import Any

from worker_pipeline.core.item import ItemKey
from worker_pipeline.core.ledger import Acceptance
from worker_pipeline.core.message_rate import MessageRate
from worker_pipeline.core.stage_dispatcher import StageDispatcher
from worker_pipeline.core.stage_policy import EXTERNAL_INPUT
from worker_pipeline.manager.input_stamps import InputStamps
from worker_pipeline.manager.outbox import Outbox
from worker_pipeline.manager.stage_statistics import rejection_text
from worker_pipeline.ros import qos
from worker_pipeline.ros.cdr import BadMessageError, stamp_of
from worker_pipeline.ros.lifecycle import ManagedNode
from worker_pipeline.ros.matched_subscription import MatchedSubscription
from worker_pipeline.ros.subscription_status import NO_CALLBACKS
from worker_pipeline.ros.throttled_log import ThrottledLog
from worker_pipeline.ros.turn_reader import RawSubscription, TurnReader

LOSS_PERIOD = 0.5  # s, between two looks at the counters of lost messages


class StageInputs:
    """Subscribes to a stage's inputs, and passes every message to its dispatcher.

    Args:
        node: the stage's.
        stage: its dispatcher.
        outbox: commits each message as an event.
        log: of the stage.
        own_subscriptions: counts the manager's own subscriptions, by the stage before.
        stamps: reads the stamps of the messages that come by topics.
    """

    def __init__(
        self,
        node: ManagedNode,
        stage: StageDispatcher,
        outbox: Outbox,
        log: ThrottledLog,
        own_subscriptions: Counter[str],
        stamps: InputStamps,
    ) -> None:
        self._node = node
        self.stamps = stamps
        self._own_subscriptions = own_subscriptions
        self._log = log
        self._stage = stage
        self._outbox = outbox
        self._releases: list[Callable[[], object]] = []
        self.bad_messages = 0
        self._matched: dict[str, MatchedSubscription] = {}  # by topic
        # By input: returns how many messages DDS has lost since the last call.
        self._take_lost: dict[str, Callable[[], int]] = {}
        self._lost: Counter[str] = Counter()
        self._looked_at = float('-inf')  # s
        # By input: returns its subscriptions, which may be replaced.
        self._subscriptions: dict[str, Callable[[], list[RawSubscription]]] = {}
        self._rate = MessageRate()
        self._turns = TurnReader(node, self._by_input, self._rate.count_turn)
        # Topics that had a publisher and have none now.
        self.without_publisher: set[str] = set()

    @property
    def lost(self) -> int:
        """Return how many messages were lost on their way here."""
        return sum(self._lost.values())

    def values(self) -> dict[str, Any]:
        """Return the figures of the inputs for ``/diagnostics``."""
        return {'lost': self.lost, **self.stamps.values()}

    def open(
        self, message_type: Any, inputs: Collection[str], stages: Collection[str], is_large: bool
    ) -> None:
        """Subscribe to every input, and to the stage's topic ``input``, if it is not subscribed.

        Args:
            message_type: the class of the messages.
            inputs: stages and absolute topics.
            stages: the names of all stages of the pipeline.
            is_large: whether messages are so large that few are kept.
        """
        if self._releases:
            return
        self.stamps.open(is_image=is_large)
        profile = qos.reliable(qos.LARGE_INPUT_DEPTH) if is_large else qos.keep_all()
        for source in (*inputs, EXTERNAL_INPUT):
            if source in stages:
                self._subscribe_to_stage(message_type, source, profile)
            else:
                self._subscribe_to_topic(message_type, source, profile)

    def _subscribe_to_stage(self, message_type: Any, source: str, profile: Any) -> None:
        # Its own publisher is known; others may publish there as it does.
        on_message = partial(self._on_message, source)
        subscription = self._node.create_subscription(
            message_type,
            f'{source}/output',
            on_message,
            profile,
            raw=True,
            event_callbacks=NO_CALLBACKS,
        )
        status = self._node.subscription_status(subscription)
        self._take_lost[source] = status.take_lost
        self._subscriptions[source] = partial(list, [RawSubscription(subscription, on_message)])
        self._own_subscriptions[source] += 1
        self._releases += [partial(self._leave_stage, source, subscription), status.destroy]

    def _leave_stage(self, source: str, subscription: Any) -> None:
        self._own_subscriptions[source] -= 1
        self._node.destroy_subscription(subscription)

    def _subscribe_to_topic(self, message_type: Any, source: str, profile: Any) -> None:
        is_own = source == EXTERNAL_INPUT
        topic = f'{self._stage.name}/{EXTERNAL_INPUT}' if is_own else source
        subscription = MatchedSubscription(
            self._node,
            message_type,
            topic,
            partial(self._on_message, source),
            profile,
            raw=True,
            status_of=self._node.subscription_status,
            publishers=None if is_own else partial(self._on_publishers, topic),
        )
        self._take_lost[source] = subscription.take_lost
        self._subscriptions[source] = lambda: subscription.open
        self._matched[topic] = subscription
        self._releases.append(subscription.destroy)

    def close(self) -> None:
        """Take the subscriptions out of the graph."""
        self._count_lost()
        self._turns.close()
        self._rate.clear()
        self._subscriptions.clear()
        self._take_lost.clear()
        self._matched.clear()
        while self._releases:
            self._releases.pop()()
        self.without_publisher.clear()

    def _by_input(self) -> list[list[RawSubscription]]:
        return [subscriptions() for subscriptions in self._subscriptions.values()]

    def _on_message(self, source: str, message: bytes) -> None:
        if not self._rate.in_turns and self._rate.count():
            self._turns.begin()
        try:
            stamp, message = self._read_stamp(source, message)
        except BadMessageError as error:
            self.bad_messages += 1
            self._log.warning((source, 'bad'), _refusal_text, source, error)
            return
        now = time.monotonic()
        if self._stage.is_repeated(source, stamp, now):
            duplicate = Acceptance.DUPLICATE
            self._log.warning((source, duplicate), rejection_text, source, duplicate)
            return
        with self._outbox:
            self._stage.item_received(source, stamp, message, now)

    def notes(self) -> tuple[str, ...]:
        """Return what is wrong with the inputs now: other types, and stamps."""
        other_types = tuple(
            f'{topic} is published as {", ".join(sorted(each.other_types))}, which is not received'
            for topic, each in self._matched.items()
            if each.other_types
        )
        return other_types + self.stamps.notes()

    def _read_stamp(self, source: str, message: bytes) -> tuple[int, bytes]:
        if source == EXTERNAL_INPUT or source.startswith('/'):
            return self.stamps.read(source, message)
        return stamp_of(message), message  # of a stage, which has it from its own input

    def report_rejection(self, key: ItemKey, reason: Acceptance) -> None:
        """Log that an item was not accepted."""
        self._log.warning((key.source, reason), rejection_text, key.source, reason)

    def tick(self, now: float) -> None:
        """Follow the publishers, and count the messages lost since the last look. ``now``: s."""
        for each in self._matched.values():
            each.tick(now)
        if self._rate.look(now):
            self._turns.end()
        if now - self._looked_at >= LOSS_PERIOD:
            self._looked_at = now
            self._count_lost()
            self._report_stamps()

    def _report_stamps(self) -> None:
        """Log what the stamps of an input were found to be, once."""
        logger = self._node.get_logger()
        for source, finding in self.stamps.look():
            text = f'{source}: {finding.text}{self.stamps.remedy(finding)}'
            if finding.is_warning:
                self._log.warning((source, finding.kind), str, text)
            else:
                logger.info(text)

    def _count_lost(self) -> None:
        for source, take in self._take_lost.items():
            count = take()
            if count:
                self._lost[source] += count
                self._log.warning((source, 'lost'), _loss_text, source, self._lost[source])

    def _on_publishers(self, topic: str, count: int) -> None:
        """Log when the last publisher goes: the link to another machine may be cut."""
        if not count:
            self.without_publisher.add(topic)
            self._node.get_logger().warning(f'{topic}: has no publisher any more')
        elif topic in self.without_publisher:
            self.without_publisher.remove(topic)
            self._node.get_logger().info(f'{topic}: has a publisher again')


def _refusal_text(source: str, error: BadMessageError) -> str:
    return f'{source}: refused a message: {error}'


def _loss_text(source: str, count: int) -> str:
    return (
        f'{source}: {count} messages were lost before they arrived: there were more than their '
        'publisher keeps'
    )
