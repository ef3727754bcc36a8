# SPDX-License-Identifier: Apache-2.0
"""Which worker of a stage is replaced next, and how."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import attrs


@attrs.frozen
class SlotView:
    """What the update has to know of a slot."""

    name: str
    is_active: bool  # on the roster: in use, rather than a standby
    is_settled: bool  # in its desired state
    is_due: bool  # to be replaced
    is_surge: bool = False  # one more than asked for, for the time of the update


class AddSurge(NamedTuple):
    """Start one worker more, as a standby."""


class HandOver(NamedTuple):
    """Deactivate an active worker, and activate a standby in its stead."""

    name: str


class Replace(NamedTuple):
    """Have a worker finish its items and exit, and start another one in its slot."""

    name: str
    interrupts: bool  # it is active, and nobody can stand in for it


class RemoveSurge(NamedTuple):
    """Have the additional worker, which is not active, finish and exit."""


Step = AddSurge | HandOver | Replace | RemoveSurge


def next_step(slots: Collection[SlotView], *, has_surge: bool, may_surge: bool) -> Step | None:
    """Return the next step of the update; None: there is nothing to do, or it has to wait.

    One worker is replaced at a time, while all others are in their desired states. An active one
    first hands over to a standby; if there is none, to an additional worker.

    Args:
        slots: of the stage, without those that are going away.
        has_surge: whether the stage may have an additional worker at all.
        may_surge: whether it may be started now.
    """
    surge = next((each for each in slots if each.is_surge), None)
    due = [each for each in slots if each.is_due and not each.is_surge]
    if surge is not None and not due and not surge.is_active:
        return RemoveSurge()
    if not all(each.is_settled for each in slots):
        return None
    standby = any(not each.is_active and not each.is_due for each in slots)
    if not due:
        return HandOver(surge.name) if surge is not None and standby else None
    if surge is not None and surge.is_due and not surge.is_active:
        due.insert(0, surge)
    # Standbys first: then they can take over from active workers.
    slot = min(due, key=lambda each: each.is_active)
    if not slot.is_active:
        return Replace(slot.name, interrupts=False)
    if standby:
        return HandOver(slot.name)
    if has_surge and surge is None:
        return AddSurge() if may_surge else None
    return Replace(slot.name, interrupts=True)
