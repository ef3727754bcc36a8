"""What travels through a stage, and how it is known."""

from __future__ import annotations

from typing import Any, NamedTuple

# The input of a source: it is asked for an item.
TICK = 'tick'


class ItemKey(NamedTuple):
    """An item's identity within its stage.

    ``source`` is the input it came by, so that the same stamp on two inputs is two items;
    ``stamp`` is its ``header.stamp`` in nanoseconds.
    """

    source: str
    stamp: int


class Item:
    """One accepted item. ``payload`` is opaque to the core: the serialised message.

    ``number`` counts the stage's accepted items, across restarts of the manager too. It travels
    with the item to the worker and comes back with the answer.
    """

    __slots__ = ('accepted_at', 'attempts', 'blamed_for', 'key', 'number', 'payload', 'place')

    def __init__(
        self,
        number: int,
        key: ItemKey,
        payload: Any,
        accepted_at: float,
        attempts: int = 0,
        place: int | None = None,
        blamed_for: tuple[str, ...] = (),
    ) -> None:
        self.number = number
        self.key = key
        self.payload = payload
        self.accepted_at = accepted_at
        # How often it was in work while its worker died or failed.
        self.attempts = attempts
        # Its place in the stage's order of departure; None until it is first given to a worker.
        self.place = place
        # The workers that died with it in work.
        self.blamed_for = blamed_for

    def __repr__(self) -> str:
        return f'Item({self.number}, {self.key.source}@{self.key.stamp}, attempts={self.attempts})'
