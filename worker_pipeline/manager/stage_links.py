# SPDX-License-Identifier: Apache-2.0
"""The links between stages of one manager, for the graph only.

The items themselves are handed over within the manager. Any process on this machine may publish on
the topic of a stage's output; what it sends there is nobody's item.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from worker_pipeline.config import PluginDescription, StageConfig
from worker_pipeline.manager.context_feed import own_contexts
from worker_pipeline.ros import message_types, qos
from worker_pipeline.ros.lifecycle import ManagedNode
from worker_pipeline.ros.mirror_topic import UNKNOWN
from worker_pipeline.ros.subscription_status import NO_CALLBACKS, SubscriptionStatus

# How often topics are looked at, s.
CHECK_PERIOD = 1.0
# Bytes of an endpoint's identifier that are the same for all endpoints of one process.
_PARTICIPANT = slice(0, 12)


class StageLinks:
    """Subscribes to outputs of stages of the same manager, and ignores their messages.

    A stage is thus linked with those before it in rqt. Other publishers on these topics are logged:
    somebody expects to be heard.

    Args:
        node: the node of the stage that follows.
        own_subscriptions: counts the manager's own subscriptions, by the stage before.
    """

    def __init__(self, node: ManagedNode, own_subscriptions: Counter[str]) -> None:
        self._node = node
        self._own_subscriptions = own_subscriptions
        # The stage before, and the subscription to its output.
        self._subscriptions: list[tuple[str, Any, SubscriptionStatus]] = []
        self._checked_at = 0.0
        # By topic: other publishers, which are ignored.
        self.ignored: dict[str, tuple[str, ...]] = {}

    def open(self, config: StageConfig, plugins: Mapping[str, PluginDescription]) -> None:
        """Subscribe to the stages before it.

        Args:
            config: of the stage that follows.
            plugins: the descriptions of all stages' classes.
        """
        for source in _linked(config, plugins[config.name]):
            subscription = self._node.create_subscription(
                message_types.class_of(plugins[source].output_type),
                _topic(source),
                _ignore,
                qos.reliable(1),
                raw=True,
                event_callbacks=NO_CALLBACKS,
            )
            self._own_subscriptions[source] += 1
            status = self._node.subscription_status(subscription)
            self._subscriptions.append((source, subscription, status))

    def close(self) -> None:
        """Take the subscriptions out of the graph."""
        while self._subscriptions:
            source, subscription, status = self._subscriptions.pop()
            self._own_subscriptions[source] -= 1
            status.destroy()
            self._node.destroy_subscription(subscription)
        self.ignored.clear()

    def tick(self, now: float) -> None:
        """Look for other publishers where there are several. ``now``: s."""
        if now - self._checked_at < CHECK_PERIOD:
            return
        self._checked_at = now
        for source, _, status in self._subscriptions:
            if status.publisher_count() > 1:
                self._check(_topic(source))
            else:
                self.ignored.pop(_topic(source), None)

    def _check(self, topic: str) -> None:
        found = self._node.get_publishers_info_by_topic(topic)
        own = {
            bytes(each.endpoint_gid[_PARTICIPANT])
            for each in self._node.get_subscriptions_info_by_topic(topic)
            if _full_name(each) == self._node.get_fully_qualified_name()
        }
        expected = f'{self._node.get_namespace().rstrip("/")}/{topic.removesuffix("/output")}'
        others = tuple(
            sorted(
                {
                    _full_name(each)
                    for each in found
                    if bytes(each.endpoint_gid[_PARTICIPANT]) not in own
                    and each.node_name != UNKNOWN  # it is discovered after its publisher
                    # The stage of an earlier manager counts as alive for some seconds.
                    and _full_name(each) != expected
                }
            )
        )
        if others == self.ignored.get(topic, ()):
            return
        self.ignored.pop(topic, None)
        if others:
            self.ignored[topic] = others
            self._node.get_logger().warning(
                f'{topic}: ignores the messages of {", ".join(others)}; allowed: those of '
                f'{expected}, which is a stage of the same manager. Publish to '
                f'{self._node.get_name()}/input, or set {self._node.get_name()}.accept_external'
            )

    def notes(self) -> tuple[str, ...]:
        """Return whose messages are ignored, for the stage's status."""
        return tuple(
            f'{topic}: ignores the messages of {", ".join(others)}'
            for topic, others in self.ignored.items()
        )


def _linked(config: StageConfig, plugin: PluginDescription) -> set[str]:
    """Return the stages whose outputs a stage gets from the manager."""
    if config.accept_external:
        return set()
    contexts = {config.context[name] for name in own_contexts(config, plugin)}
    return contexts.union(set(config.inputs).difference(config.subscribed_inputs))


def _topic(source: str) -> str:
    return f'{source}/output'


def _full_name(endpoint: Any) -> str:
    return f'{endpoint.node_namespace.rstrip("/")}/{endpoint.node_name}'


def _ignore(_message: bytes) -> None:
    pass
