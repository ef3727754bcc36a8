"""Who may be given work: the pool of a stage, in the terms of its forerunners."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

W = TypeVar('W')


class WorkerPool(abc.ABC, Generic[W]):
    """The workers that may be given work now, and how much each may hold."""

    @abc.abstractmethod
    def get_currently_active(self) -> list[W]:
        """The workers that may be given work now. It may differ from one call to the next."""

    @abc.abstractmethod
    def get_worker_concurrency(self) -> int:
        """How many items one worker may hold at once."""

    def least_loaded(self, load: Callable[[W], int]) -> W | None:
        """The worker that holds the fewest items, of those below their concurrency; else None.

        ``load`` tells how many items a worker holds. Of several as idle the first is taken.
        """
        best: W | None = None
        fewest = self.get_worker_concurrency()
        for worker in self.get_currently_active():
            holds = load(worker)
            if holds < fewest:
                best, fewest = worker, holds
        return best


def _check_concurrency(concurrency: int) -> int:
    if concurrency < 1:
        raise ValueError(f'worker_concurrency: found {concurrency}; allowed: 1 or more')
    return concurrency


class FixedWorkerPool(WorkerPool[W]):
    """A pool whose workers never change.

    Raises ValueError when there is no worker, or when ``worker_concurrency`` is below 1.
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
    """A stage's own pool: workers join when they are ready and leave when they are not."""

    def __init__(self, worker_concurrency: int = 2) -> None:
        self._workers: list[W] = []
        self._concurrency = _check_concurrency(worker_concurrency)

    def get_currently_active(self) -> list[W]:
        return list(self._workers)

    def get_worker_concurrency(self) -> int:
        return self._concurrency

    def resize(self, worker_concurrency: int) -> None:
        """Change how many items one worker may hold. What it holds already it keeps."""
        self._concurrency = _check_concurrency(worker_concurrency)

    def join(self, worker: W) -> None:
        """Take a worker in; once is enough."""
        if worker not in self._workers:
            self._workers.append(worker)

    def leave(self, worker: W) -> None:
        """Let a worker go, if it is here."""
        if worker in self._workers:
            self._workers.remove(worker)

    def __len__(self) -> int:
        return len(self._workers)
