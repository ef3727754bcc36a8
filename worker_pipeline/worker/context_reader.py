# SPDX-License-Identifier: Apache-2.0
"""The contexts that the manager sends a worker, through its channel."""

from __future__ import annotations

import threading
from typing import Any

from rclpy.serialization import deserialize_message

from worker_pipeline.stage import Stage
from worker_pipeline.worker.manager_channel import ManagerChannel

# How long it may take until a new channel is noticed, s.
_TIMEOUT = 0.1


class ContextReader:
    """Fills the buffers of a stage's contexts.

    Args:
        stage: The stage, bound to its contexts.
        names: Its contexts that the manager sends, each at its number.
    """

    def __init__(self, stage: Stage, names: tuple[str, ...]) -> None:
        declared: Any = type(stage).contexts
        self._contexts = [(stage.context[name], declared[name]) for name in names]

    def add(self, number: int, message: bytes) -> None:
        """Add a serialised message to the context with this number."""
        buffer, message_type = self._contexts[number]
        buffer.add(deserialize_message(message, message_type))

    def start(self, channel: ManagerChannel) -> None:
        """Have the channel read at once, even while the main thread waits for a context."""
        if self._contexts:
            thread = threading.Thread(
                target=self._read, args=(channel,), name='contexts', daemon=True
            )
            thread.start()

    @staticmethod
    def _read(channel: ManagerChannel) -> None:
        while True:
            channel.read_when_ready(_TIMEOUT)
