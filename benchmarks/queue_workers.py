"""A peer: worker processes between two queues of a ``multiprocessing.Manager``.

Imports no ROS, as a worker is started with this module.
"""

from __future__ import annotations

import multiprocessing
import threading
import time
from typing import Any

TIMEOUT = 30.0  # s, for any one item


def _echo(inputs: Any, outputs: Any) -> None:
    while (item := inputs.get()) is not None:
        outputs.put(item)


class QueueWorkers:
    """Workers that echo what is put into the one queue into the other."""

    def __init__(self, workers: int) -> None:
        context = multiprocessing.get_context('spawn')
        self._manager = context.Manager()
        self._inputs, self._outputs = self._manager.Queue(), self._manager.Queue()
        self._workers = [
            context.Process(target=_echo, args=(self._inputs, self._outputs), daemon=True)
            for _ in range(workers)
        ]
        for worker in self._workers:
            worker.start()

    def run(self, items: int, bound: int) -> float:
        """Have so many items echoed, with no more than ``bound`` under way; returns seconds."""
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
        """End the workers and the queues."""
        for _ in self._workers:
            self._inputs.put(None)
        for worker in self._workers:
            worker.join(5.0)
            if worker.is_alive():
                worker.kill()
        self._manager.shutdown()
