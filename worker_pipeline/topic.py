# SPDX-License-Identifier: Apache-2.0
"""Additional topics of a stage, beside its output: camera information, a picture for people.

Messages on them are not items: they are published once, to the subscribers of that moment, and
again when an item is redelivered after a death.
"""

from __future__ import annotations

from typing import Any, Protocol

import attrs


@attrs.frozen
class Latched:
    """In ``Stage.topics``: a topic that sends its last message to late subscribers."""

    message_type: Any


@attrs.frozen
class AbsoluteTopic:
    """In ``Stage.topics``: a topic whose name is not the stage's own, such as ``/tf``.

    ``declared``: the message class, or :class:`Latched` message class.
    """

    name: str
    declared: Any


class Topic(Protocol):
    """One of a stage's ``topics``."""

    @property
    def has_subscribers(self) -> bool:
        """Return whether anyone subscribes; if not, an expensive message need not be made."""

    @property
    def is_heard(self) -> bool:
        """Return ``has_subscribers``: the former name, kept for stages that use it."""
        return self.has_subscribers

    def publish(self, message: Any) -> None:
        """Publish a message."""


class TopicRecorder(Topic):
    """A topic without ROS, for tests of stages. ``messages`` holds the published ones.

    >>> topic = TopicRecorder()
    >>> topic.publish('a picture')
    >>> topic.messages
    ['a picture']
    """

    has_subscribers: bool = True

    def __init__(self, *, has_subscribers: bool = True) -> None:
        self.has_subscribers = has_subscribers
        self.messages: list[Any] = []

    def publish(self, message: Any) -> None:
        """Append a message to ``messages``."""
        self.messages.append(message)


def message_type_of(declared: Any) -> Any:
    """Return the message class of an entry of ``Stage.topics``."""
    if isinstance(declared, AbsoluteTopic):
        return message_type_of(declared.declared)
    return declared.message_type if isinstance(declared, Latched) else declared


def topic_name_of(name: str, declared: Any) -> str:
    """Return the name in the graph of an entry of ``Stage.topics``: relative to the stage, or not.

    Args:
        name: The entry's name.
        declared: Its value.
    """
    return declared.name if isinstance(declared, AbsoluteTopic) else name
