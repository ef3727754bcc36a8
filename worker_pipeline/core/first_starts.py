# SPDX-License-Identifier: Apache-2.0
"""How many workers of the whole pipeline may be in their first start-up at one time.

A new worker needs a processor, and the manager's DDS sends it every endpoint of every stage. Many
at once delay each other, and the manager, by far more than the same ones in turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

# How many workers may be starting at once, for each processor.
PER_PROCESSOR = 2
# For how long a worker that is not ready holds its place, s: its start-up may hang, or wait for
# something that needs no processor.
PATIENCE = 5.0


class Rank(NamedTuple):
    """The order of first starts: the lowest is next."""

    is_standby: bool  # workers come before standbys
    number: int  # of the slot in its stage: each stage gets a worker before any gets a second one
    stage: int  # of the stage in the configuration


class Contender(Protocol):
    """A slot that has, or waits for, its first start."""

    @property
    def started_at(self) -> float:
        """Return when its process was started, s."""

    @property
    def is_starting(self) -> bool:
        """Return whether it has a process, of this manager, that is not ready yet.

        Not if one before could not start.
        """

    @property
    def awaits_first_start(self) -> bool:
        """Return whether it never had a process, and could have one but for other stages."""


class FirstStarts:
    """Decides which slots may have their first process now.

    A replacement is not asked for here. It takes a place, but waits for none; after a start that
    failed it does not even take one.

    Args:
        limit: how many workers may be starting at once.
        stages: the names of all stages.
        patience: for how long a worker that is starting counts, s.

    Raises:
        ValueError: if ``limit`` is below 1.
    """

    def __init__(self, limit: int, stages: Sequence[str], patience: float = PATIENCE) -> None:
        if limit < 1:
            raise ValueError(f'limit: found {limit}; allowed: 1 or more')
        self._limit = limit
        self._order = {stage: index for index, stage in enumerate(stages)}
        self._patience = patience
        # By stage and name.
        self._slots: dict[str, dict[str, tuple[Rank, Contender]]] = {each: {} for each in stages}

    def add(self, stage: str, name: str, slot: Contender, *, is_standby: bool) -> None:
        """Add a slot, or put it in the place of one that is gone.

        Args:
            stage: its stage.
            name: its name, such as ``worker_0``.
            slot: the slot.
            is_standby: whether it is to be one.
        """
        number = int(name.removeprefix('worker_'))
        self._slots[stage][name] = Rank(is_standby, number, self._order[stage]), slot

    def remove(self, stage: str, name: str) -> None:
        """Remove a slot."""
        del self._slots[stage][name]

    def may_start(self, stage: str, name: str, now: float) -> bool:
        """Return whether a slot may have its first process: those before it leave a place.

        Args:
            stage: its stage.
            name: its name.
            now: s.
        """
        slots = [each for of_stage in self._slots.values() for each in of_stage.values()]
        places = self._limit - sum(
            slot.is_starting and now - slot.started_at < self._patience for _, slot in slots
        )
        if places < 1:
            return False
        own, _ = self._slots[stage][name]
        return sum(rank < own and slot.awaits_first_start for rank, slot in slots) < places

    def is_one_waiting(self, stage: str) -> bool:
        """Return whether a slot of this stage awaits its first start."""
        return any(slot.awaits_first_start for _, slot in self._slots[stage].values())


def limit_for(processors: int) -> int:
    """Return how many workers may be starting at once on so many processors."""
    return PER_PROCESSOR * max(1, processors)
