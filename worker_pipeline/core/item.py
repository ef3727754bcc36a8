"""What travels through a stage, and how it is known."""

from __future__ import annotations

from typing import Any, NamedTuple


class ItemKey(NamedTuple):
    """An item's identity within its stage.

    ``source`` is the input it came by, so that the same stamp on two inputs is two items;
    ``stamp`` is its ``header.stamp`` in nanoseconds.
    """

    source: str
    stamp: int


class Item:
    """One accepted item. ``payload`` is opaque to the core: the serialised message."""

    __slots__ = ('accepted_at', 'attempts', 'key', 'payload', 'place')

    def __init__(self, key: ItemKey, payload: Any, accepted_at: float) -> None:
        self.key = key
        self.payload = payload
        self.accepted_at = accepted_at
        # How often it was in work while its worker died or failed.
        self.attempts = 0
        # Its place in the stage's order of departure; None until it is first given to a worker.
        self.place: int | None = None

    def __repr__(self) -> str:
        return f'Item({self.key.source}@{self.key.stamp}, attempts={self.attempts})'
