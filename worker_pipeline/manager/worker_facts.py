# SPDX-License-Identifier: Apache-2.0
"""The facts about a slot's worker, for its stage to act on: facts, named in the past tense.

A slot appends them to its stage's queue and makes no calls. The stage consumes the queue when the
event that led to them has been handled, so no slot is called while it is still busy.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from worker_pipeline.recovery.liveness import LivenessRecord


class WorkerFailing(NamedTuple):
    """The slot's worker has exited, or is being killed: a standby may take over."""

    slot: str


class WorkerAvailable(NamedTuple):
    """The slot's worker may be given items."""

    slot: str
    pid: int | None


class WorkerUnavailable(NamedTuple):
    """The slot's worker may be given no more items; it will answer those that it holds."""

    slot: str


class WorkerExited(NamedTuple):
    """The slot's worker is gone: its items have to be requeued, its resources freed."""

    slot: str
    reason: str
    suspect: int | None  # the number of the item that may have been the cause
    record: LivenessRecord | None  # left in shared memory
    was_wanted: bool  # rather than asked to go


WorkerFact: TypeAlias = WorkerFailing | WorkerAvailable | WorkerUnavailable | WorkerExited
