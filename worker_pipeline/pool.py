# SPDX-License-Identifier: Apache-2.0
"""Worker pools: the workers of a stage that may be given items now."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

W = TypeVar('W')


class WorkerPool(abc.ABC, Generic[W]):
    """The workers that may be given items now, and how many items each may hold.

    >>> pool = FixedWorkerPool(['a', 'b'], worker_concurrency=2)
    >>> in_flight = {'a': 1, 'b': 0}
    >>> pool.least_loaded(in_flight.__getitem__)
    'b'
    """

    @abc.abstractmethod
    def get_currently_active(self) -> list[W]:
        """Return the workers that may be given items now; each call may return others."""

    @abc.abstractmethod
    def get_worker_concurrency(self) -> int:
        """Return how many items one worker may hold at once."""

    def least_loaded(self, load: Callable[[W], int]) -> W | None:
        """Return the worker with the fewest items, the first of several, or None if all are full.

        ``load`` returns how many items a worker holds.
        """
        best: W | None = None
        fewest = self.get_worker_concurrency()
        for worker in self.get_currently_active():
            held = load(worker)
            if held < fewest:
                best, fewest = worker, held
        return best


def _check_concurrency(concurrency: int) -> int:
    if concurrency < 1:
        raise ValueError(f'worker_concurrency: found {concurrency}; allowed: 1 or more')
    return concurrency


class FixedWorkerPool(WorkerPool[W]):
    """A pool with constant workers.

    Raises ValueError if there are no workers or ``worker_concurrency`` is below 1.
    """

    def __init__(self, workers: Sequence[W], worker_concurrency: int = 2) -> None:
        if not workers:
            raise ValueError('workers: found none; allowed: 1 or more')
        self._workers = list(workers)
        self._concurrency = _check_concurrency(worker_concurrency)

    def get_currently_active(self) -> list[W]:
        return list(self._workers)

    def get_worker_concurrency(self) -> int:
        return self._concurrency


class RefreshingWorkerPool(WorkerPool[W]):
    """The pool of a running stage: workers join when they become available, and leave."""

    def __init__(self, worker_concurrency: int = 2) -> None:
        self._workers: list[W] = []
        self._concurrency = _check_concurrency(worker_concurrency)

    def get_currently_active(self) -> list[W]:
        return list(self._workers)

    def get_worker_concurrency(self) -> int:
        return self._concurrency

    def resize(self, worker_concurrency: int) -> None:
        """Set how many items one worker may hold; workers keep those that they hold already."""
        self._concurrency = _check_concurrency(worker_concurrency)

    def join(self, worker: W) -> None:
        """Add a worker, unless it is in the pool already."""
        if worker not in self._workers:
            self._workers.append(worker)

    def leave(self, worker: W) -> None:
        """Remove a worker, if it is in the pool."""
        if worker in self._workers:
            self._workers.remove(worker)

    def __len__(self) -> int:
        return len(self._workers)
