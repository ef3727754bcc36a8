# SPDX-License-Identifier: Apache-2.0
"""An item of a stage, and its identity."""

from __future__ import annotations

from typing import Any, NamedTuple

# The input of the items of a source.
TICK = 'tick'


class ItemKey(NamedTuple):
    """An item's identity within its stage.

    ``source`` is the input it came by, so that the same stamp on two inputs is two items;
    ``stamp`` is its ``header.stamp`` in nanoseconds; ``run`` the run of the pipeline that it
    belongs to (:mod:`worker_pipeline.core.runs`).
    """

    source: str
    stamp: int
    run: int = 0


class Item:
    """One accepted item.

    Args:
        number: counts the stage's accepted items, across restarts of the manager too. It travels
            with the item to the worker and comes back with the answer.
        key: the item's identity.
        payload: the serialised message, opaque to the core.
        accepted_at: the time of acceptance, s.
        attempts: how often a worker died or failed while it processed the item.
        sequence: its place in the stage's order of departure; None until it is first assigned.
        suspects: the workers that died while they processed it.
    """

    __slots__ = ('accepted_at', 'attempts', 'key', 'number', 'payload', 'sequence', 'suspects')

    def __init__(
        self,
        number: int,
        key: ItemKey,
        payload: Any,
        accepted_at: float,
        attempts: int = 0,
        sequence: int | None = None,
        suspects: tuple[str, ...] = (),
    ) -> None:
        self.number = number
        self.key = key
        self.payload = payload
        self.accepted_at = accepted_at
        self.attempts = attempts
        self.sequence = sequence
        self.suspects = suspects

    def __repr__(self) -> str:
        return f'Item({self.number}, {self.key.source}@{self.key.stamp}, attempts={self.attempts})'
