# SPDX-License-Identifier: Apache-2.0
"""The memory limit of a worker: whether an item, or the worker, is the cause of its size."""

from __future__ import annotations

from typing import NamedTuple, Protocol

# An item is suspected if it would take a new worker this much above the limit.
MARGIN = 0.1
# A worker that grows on while it waits for its replacement is not given items from this multiple of
# the limit on.
HARD_LIMIT = 2.0
_MB = 1e6


class MemoryProgress(Protocol):
    """The items and sizes in a worker's liveness record."""

    @property
    def active_item(self) -> int:
        """Return the number of the item being processed; 0: none."""

    @property
    def finished_items(self) -> int:
        """Return how many items have been processed."""

    @property
    def fresh_memory(self) -> int:
        """Return the private memory before the first item, bytes; 0: not measured."""

    @property
    def active_memory(self) -> int:
        """Return the private memory when the active item was started, bytes; 0: not measured."""


class MemoryUse(NamedTuple):
    """The memory of a process at one moment, bytes, without shared memory."""

    private: int  # anonymous
    mapped: int  # resident pages of files

    @property
    def total(self) -> int:
        """Return both together."""
        return self.private + self.mapped


class ReplaceWorker(NamedTuple):
    """The worker has grown: it is replaced after its items.

    ``is_urgent``: not only when another one is ready.
    """

    reason: str
    is_urgent: bool = False


class KillWorker(NamedTuple):
    """The worker may not go on. ``blames_item``: the item that it processes has made it grow."""

    reason: str
    blames_item: bool


def check_memory(
    use: MemoryUse, progress: MemoryProgress, limit: float
) -> ReplaceWorker | KillWorker | None:
    """Decide about a worker by its size.

    A worker that grows slowly has no item to blame: it is replaced when it has finished those that
    it holds. An item is blamed if it alone would take a new worker beyond the limit.

    Args:
        use: its memory.
        progress: of the worker.
        limit: MB; 0: none.
    """
    size = use.total / _MB
    if limit <= 0 or size <= limit:
        return None
    reason = f'it uses {size:.0f} MB of memory; memory_limit is {limit:g} MB'
    growth = 0.0
    if progress.active_item and progress.active_memory:
        growth = (use.private - progress.active_memory) / _MB
    if progress.fresh_memory:
        fresh = (progress.fresh_memory + use.mapped) / _MB
        if fresh <= limit < fresh + growth - MARGIN * limit:
            reason = (
                f'it uses {size:.0f} MB of memory, {growth:.0f} MB of it since the item started; '
                f'memory_limit is {limit:g} MB'
            )
            return KillWorker(reason, blames_item=True)
        is_hopeless = fresh > limit
    else:
        is_hopeless = not progress.finished_items and not progress.active_item
    if is_hopeless:
        return KillWorker(f'{reason}, which is too little without any item', blames_item=False)
    return ReplaceWorker(reason, is_urgent=size > HARD_LIMIT * limit)
