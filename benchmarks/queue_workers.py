# SPDX-License-Identifier: Apache-2.0
"""Peers: the ways of the standard library to distribute work to processes.

Imports no ROS, as a worker is started with this module.
"""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import threading
import time
from typing import Any

TIMEOUT = 30.0  # s, for one item


def _echo_all(inputs: Any, outputs: Any) -> None:
    while (item := inputs.get()) is not None:
        outputs.put(item)


def _echo(item: Any) -> Any:
    return item


class QueueWorkers:
    """Workers that echo the items of one queue into another."""

    def __init__(self, workers: int) -> None:
        self._context = multiprocessing.get_context('spawn')
        self._inputs, self._outputs = self._queues()
        self._workers = [
            self._context.Process(target=_echo_all, args=(self._inputs, self._outputs), daemon=True)
            for _ in range(workers)
        ]
        for worker in self._workers:
            worker.start()

    def _queues(self) -> tuple[Any, Any]:
        return self._context.Queue(), self._context.Queue()

    def run(self, items: int, bound: int) -> float:
        """Have this many items echoed, with at most ``bound`` in flight; return the seconds."""
        room = threading.Semaphore(bound)

        def feed() -> None:
            for number in range(items):
                if not room.acquire(timeout=TIMEOUT):
                    return
                self._inputs.put((number, number * 1e-3, 'camera'))

        begin = time.perf_counter()
        # By a thread of its own, so that putting and getting overlap.
        feeder = threading.Thread(target=feed, daemon=True)
        feeder.start()
        for _ in range(items):
            self._outputs.get(timeout=TIMEOUT)
            room.release()
        return time.perf_counter() - begin

    def close(self) -> None:
        """Stop the workers and close the queues."""
        for _ in self._workers:
            self._inputs.put(None)
        for worker in self._workers:
            worker.join(5.0)
            if worker.is_alive():
                worker.kill()


class ManagedQueueWorkers(QueueWorkers):
    """The same with queues in a process of their own, like the forerunner's."""

    def _queues(self) -> tuple[Any, Any]:
        self._manager = self._context.Manager()
        return self._manager.Queue(), self._manager.Queue()

    def close(self) -> None:
        """Stop the queues' process too."""
        super().close()
        self._manager.shutdown()


class PoolWorkers:
    """``concurrent.futures``: a future for each item."""

    def __init__(self, workers: int) -> None:
        context = multiprocessing.get_context('spawn')
        self._pool = concurrent.futures.ProcessPoolExecutor(workers, mp_context=context)

    def run(self, items: int, bound: int) -> float:
        """Have this many items echoed, with at most ``bound`` in flight; return the seconds."""
        room = threading.Semaphore(bound)
        begin = time.perf_counter()
        futures = []
        for number in range(items):
            room.acquire(timeout=TIMEOUT)
            future = self._pool.submit(_echo, (number, number * 1e-3, 'camera'))
            future.add_done_callback(lambda _: room.release())
            futures.append(future)
        for future in futures:
            future.result(TIMEOUT)
        return time.perf_counter() - begin

    def close(self) -> None:
        """Stop the workers."""
        self._pool.shutdown()
