"""Further topics of a stage, beside its output: camera information, a picture to look at.

What is published there is nobody's item. It is told once, to whoever listens at that moment; an
item that is done again, after a death, is told of again.
"""

from __future__ import annotations

from typing import Any, Protocol

import attrs


@attrs.frozen
class Latched:
    """In ``Stage.topics``: a topic of which everybody who comes later is given the last message."""

    message_type: Any


class Topic(Protocol):
    """What a stage has of each of its ``topics``."""

    @property
    def is_heard(self) -> bool:
        """Whether somebody listens: what is dear to make need not be made for nobody."""

    def publish(self, message: Any) -> None:
        """Tell a message."""


class TopicRecorder:
    """A topic without ROS, as a test gives it to a stage. ``messages``: what was published."""

    def __init__(self, *, is_heard: bool = True) -> None:
        self.is_heard = is_heard
        self.messages: list[Any] = []

    def publish(self, message: Any) -> None:
        """Keep a message."""
        self.messages.append(message)


def message_type_of(declared: Any) -> Any:
    """The message class of what a class has in ``topics``."""
    return declared.message_type if isinstance(declared, Latched) else declared
