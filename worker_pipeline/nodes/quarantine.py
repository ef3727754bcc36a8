"""The quarantine: what was given up is kept on disk, and announced."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus

from worker_pipeline.core.item import Item
from worker_pipeline.nodes.worker_contract import key_values
from worker_pipeline.runtime.cdr import split_stamp
from worker_pipeline.runtime.frame_keeper import FrameKeeper
from worker_pipeline.runtime.outbox import Outbox
from worker_pipeline.runtime.quarantine import QuarantinedItem, QuarantineStore


class Quarantine:
    """Takes items that failed too often. ``publisher`` announces them."""

    def __init__(
        self,
        publisher: Any,
        folder: Path,
        frames: FrameKeeper,
        tell: Callable[[str], None],
    ) -> None:
        self._publisher = publisher
        self._frames = frames
        self._store = QuarantineStore(folder, on_error=tell)

    def put(
        self, stage: str, topic: str, message_type: str, item: Item, cause: str, outbox: Outbox
    ) -> str:
        """Keep an item and announce it when the event is over; returns what was done, in words."""
        sec, nanosec = split_stamp(item.key.stamp)
        stamp = f'{sec}.{nanosec:09d}'
        quarantined = QuarantinedItem(
            stage=stage,
            source=item.key.source,
            topic=topic,
            message_type=message_type,
            message=self._frames.whole(item.payload or b''),
            stamp=item.key.stamp,
            attempts=item.attempts,
            cause=cause,
            at=time.time_ns(),
        )
        # An item whose payload died with an earlier manager can only be named.
        path = self._store.keep(quarantined) if item.payload is not None else None
        values = {
            'stage': stage,
            'source': item.key.source,
            'stamp': stamp,
            'attempts': item.attempts,
            'type': message_type,
            'file': path or '',
        }
        outbox.do_last(
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
        """Wait until all is on disk, for so many seconds at most."""
        self._store.close(timeout)
