# SPDX-License-Identifier: Apache-2.0
"""Records quarantined items: each is written to disk and announced on a topic."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus

from worker_pipeline.core.item import Item
from worker_pipeline.frames.registry import FrameRegistry
from worker_pipeline.manager.outbox import Outbox
from worker_pipeline.quarantine.store import QuarantinedItem, QuarantineStore
from worker_pipeline.ros.cdr import split_stamp
from worker_pipeline.ros.diagnostics import key_values


class QuarantineRecorder:
    """Records the quarantined items of all stages.

    Args:
        publisher: Of the topic ``quarantine``.
        folder: Where the items are stored.
        frames: Reads items with data in shared memory.
        on_error: Called with a message when an item cannot be stored.
    """

    def __init__(
        self,
        publisher: Any,
        folder: Path,
        frames: FrameRegistry,
        on_error: Callable[[str], None],
    ) -> None:
        self._publisher = publisher
        self._frames = frames
        self._store = QuarantineStore(folder, on_error=on_error)

    def put(
        self, stage: str, topic: str, message_type: str, item: Item, cause: str, outbox: Outbox
    ) -> str:
        """Store an item, and announce it when the event is over. Return a message for the log.

        Args:
            stage: The item's stage.
            topic: The topic that a copy of the item can be sent to.
            message_type: Its type, such as ``std_msgs/msg/Header``.
            item: The item.
            cause: Why the last attempt failed.
            outbox: Announces it.
        """
        sec, nanosec = split_stamp(item.key.stamp)
        stamp = f'{sec}.{nanosec:09d}'
        quarantined = QuarantinedItem(
            stage=stage,
            source=item.key.source,
            topic=topic,
            message_type=message_type,
            message=self._frames.materialize(item.payload or b''),
            stamp=item.key.stamp,
            attempts=item.attempts,
            cause=cause,
            at=time.time_ns(),
        )
        # After a crash of the manager the message itself may be lost; the item is announced anyway.
        path = self._store.keep(quarantined) if item.payload is not None else None
        values = {
            'stage': stage,
            'source': item.key.source,
            'stamp': stamp,
            'attempts': item.attempts,
            'type': message_type,
            'file': path or '',
        }
        outbox.after_dispatch(
            self._publisher.publish,
            DiagnosticStatus(
                level=DiagnosticStatus.ERROR, name=stage, message=cause, values=key_values(values)
            ),
        )
        kept = f'kept in {path}' if path else 'it could not be kept'
        return (
            f'quarantined the item stamped {stamp} after {item.attempts} attempts: {cause}; {kept}'
        )

    def close(self, timeout: float) -> None:
        """Wait up to ``timeout`` seconds until all items are on disk."""
        self._store.close(timeout)
