# SPDX-License-Identifier: Apache-2.0
"""How many workers of a stage may have a process, or be active, at one time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from worker_pipeline.core.activity import Activity
from worker_pipeline.core.supervision_table import DesiredState


class Occupant(Protocol):
    """What is asked of the supervision of a slot."""

    activity: Activity
    desired: DesiredState
    starts: int
    failed_starts: int
    started_at: float

    @property
    def is_starting(self) -> bool:
        """Return whether it has a process, of this manager, that is not ready yet."""

    @property
    def has_process(self) -> bool:
        """Return whether the slot has, or may have, a process."""

    @property
    def converged(self) -> bool:
        """Return whether the slot is in its desired state."""


class Admission(Protocol):
    """Decides for one slot."""

    def may_start(self, now: float) -> bool:
        """Return whether the slot may get a process."""

    def may_activate(self, now: float) -> bool:
        """Return whether its worker may be asked to become active."""

    def others_work(self) -> bool:
        """Return whether the stage has another worker, at work or soon."""


class Unrestricted:
    """Admits always."""

    def may_start(self, now: float) -> bool:  # noqa: ARG002 - a part of the protocol
        """Return True."""
        return True

    def may_activate(self, now: float) -> bool:  # noqa: ARG002 - a part of the protocol
        """Return True."""
        return True

    def others_work(self) -> bool:
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
        slots: the supervision of the stage's slots by name, from when it is asked.
        stage: the stage's limits.
        may_start_first: returns whether the pipeline has room for the slot's first start. ``now``,
            in s, is its argument.
    """

    def __init__(
        self,
        name: str,
        slots: Mapping[str, Occupant],
        stage: StageLimits,
        may_start_first: Callable[[float], bool] = lambda _now: True,
    ) -> None:
        self._name = name
        self._slots = slots
        self._stage = stage
        self._may_start_first = may_start_first

    @property
    def started_at(self) -> float:
        """Return when the slot's process was started, s."""
        return self._slots[self._name].started_at

    @property
    def is_starting(self) -> bool:
        """Return whether it has a process, of this manager, that is not ready yet.

        Not if one before could not start: that one had a place. Slots in which one process after
        the other dies at its start would leave none to those that wait.
        """
        own = self._slots[self._name]
        return own.is_starting and not own.failed_starts

    @property
    def awaits_first_start(self) -> bool:
        """Return whether it never had a process, and could have one but for other stages."""
        own = self._slots[self._name]
        return not own.starts and own.desired is not DesiredState.GONE and self._has_room()

    def may_start(self, now: float) -> bool:
        """Return whether the slot may get a process. A replacement never waits for other stages.

        Args:
            now: s.
        """
        is_first = not self._slots[self._name].starts
        return self._has_room() and (not is_first or self._may_start_first(now))

    def _has_room(self) -> bool:
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

    def others_work(self) -> bool:
        """Return whether another one is active, ready to become active, or starting.

        Not one that is starting after another one could not: it may not succeed either.
        """
        return any(
            slot.converged or (slot.is_starting and not slot.failed_starts)
            for name, slot in self._slots.items()
            if name != self._name and slot.desired is not DesiredState.GONE
        )
