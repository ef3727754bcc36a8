# SPDX-License-Identifier: Apache-2.0
"""The results of a ledger's calls: the facts that follow from a change, and its counters."""

from __future__ import annotations

import enum
from typing import Any, NamedTuple

from worker_pipeline.core.item import Item, ItemKey


class Overflow(enum.Enum):
    """The policy of a full queue for one more item."""

    DROP_OLDEST = 'drop_oldest'
    BLOCK = 'block'


class Acceptance(enum.Enum):
    """The result of offering an item."""

    ACCEPTED = 'accepted'
    DUPLICATE = 'duplicate'
    REFUSED = 'refused'


class Delivered(NamedTuple):
    """Fact: an output leaves the stage, now and in this order."""

    key: ItemKey
    payload: Any
    accepted_at: float


class Quarantined(NamedTuple):
    """Fact: an item failed too often and left the stream."""

    item: Item
    cause: str


class Settled(NamedTuple):
    """The final results of one event: outputs in order, and quarantined items."""

    delivered: list[Delivered]
    quarantined: list[Quarantined]


NOTHING = Settled([], [])


class Counters:
    """Running totals since the stage was created."""

    __slots__ = (
        'accepted',
        'completed',
        'delivered',
        'dropped',
        'duplicate_answers',
        'duplicates',
        'quarantined',
        'redelivered',
        'refused',
    )

    def __init__(self) -> None:
        self.accepted = 0
        self.completed = 0  # answered, with an output or without
        self.delivered = 0  # outputs that left
        self.dropped = 0
        self.quarantined = 0
        self.redelivered = 0  # assigned again after a death or a failure
        self.duplicates = 0  # offered a second time
        self.duplicate_answers = 0  # answered a second time
        self.refused = 0  # offered to a full queue that blocks, or not a valid message
