# SPDX-License-Identifier: Apache-2.0
"""How many workers of a stage may have a process, or be active, at one time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from worker_pipeline.core.activity import Activity


class Occupant(Protocol):
    """What is asked of the supervision of a slot."""

    activity: Activity

    @property
    def has_process(self) -> bool:
        """Return whether the slot has, or may have, a process."""


class Admission(Protocol):
    """Decides for one slot."""

    def may_start(self) -> bool:
        """Return whether the slot may get a process."""

    def may_activate(self, now: float) -> bool:
        """Return whether its worker may be asked to become active."""


class Unrestricted:
    """Admits always."""

    def may_start(self) -> bool:
        """Return True."""
        return True

    def may_activate(self, now: float) -> bool:  # noqa: ARG002 - a part of the protocol
        """Return True."""
        return True


class StageLimits:
    """The limits of a stage. ``max_active`` changes with the number of its workers."""

    def __init__(self, max_active: int, *, exclusive: bool = False) -> None:
        self.max_active = max_active
        self.exclusive = exclusive


class SlotAdmission:
    """Decides for one slot by the present state of the others of its stage.

    Only as many workers are active at one time as the stage is to have, so that what ``activate``
    opens was closed before. Of an exclusive stage only one worker has a process, so that what
    ``configure`` opens was closed before, or died with its holder.

    Args:
        name: the slot's.
        others: the supervision of the stage's slots by name; the slot itself may be among them.
        stage: the stage's limits.
    """

    def __init__(self, name: str, others: Mapping[str, Occupant], stage: StageLimits) -> None:
        self._name = name
        self._slots = others
        self._stage = stage

    def may_start(self) -> bool:
        """Return whether the slot may get a process."""
        return not self._stage.exclusive or not any(
            slot.has_process for name, slot in self._slots.items() if name != self._name
        )

    def may_activate(self, now: float) -> bool:
        """Return whether fewer of the others than the limit may be active."""
        active = sum(
            slot.activity.is_possible(now)
            for name, slot in self._slots.items()
            if name != self._name
        )
        return active < self._stage.max_active
