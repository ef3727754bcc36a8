# SPDX-License-Identifier: Apache-2.0
"""Small items per second through one stage, beside other ways to carry them."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks import queue_workers
from benchmarks.feeder import Feeder
from benchmarks.figure import OURS, Benchmark, Contender, Figure
from benchmarks.pipeline import running_pipeline, wait_until_active
from benchmarks.processes import start_module, stop

WORKERS = (1, 2, 4)
DEEP = 16  # items that a worker may hold, instead of the default
ITEMS = 4000
WARM_UP = 400
IN_FLIGHT = 200  # at most


def _pipeline(key: str, workers: int, **settings: Any) -> dict[str, list[float]]:
    """From a publisher, through the manager and a worker, and back in order."""
    with (
        running_pipeline(workers=workers, echo__queue_size=2 * IN_FLIGHT, **settings),
        Feeder() as feeder,
    ):
        wait_until_active(feeder, workers)
        feeder.feed(WARM_UP, IN_FLIGHT)
        return {key: [ITEMS / feeder.feed(ITEMS, IN_FLIGHT)]}


def _raw_rclpy(key: str) -> dict[str, list[float]]:
    """From a publisher, through one node that deserialises nothing, and back."""
    node = start_module('benchmarks.raw_echo')
    try:
        with Feeder() as feeder:
            feeder.until_answered(period=0.1)
            feeder.rest(1.0)
            feeder.feed(WARM_UP, IN_FLIGHT)
            return {key: [ITEMS / feeder.feed(ITEMS, IN_FLIGHT)]}
    finally:
        stop([node], signal.SIGTERM)


def _others(key: str, make: Callable[[int], Any], workers: int) -> dict[str, list[float]]:
    with contextlib.closing(make(workers)) as echo:
        echo.run(WARM_UP, IN_FLIGHT)
        return {key: [ITEMS / echo.run(ITEMS, IN_FLIGHT)]}


def _benchmark(workers: int, concurrency: int | None = None) -> Benchmark:
    key = f'throughput_{workers}'
    told = f'{workers} worker{"s" if workers > 1 else ""}'
    title = f'throughput of a stage, {told}'
    settings: dict[str, int] = {}
    if concurrency is not None:
        key += '_deep'
        title += f', concurrency {concurrency}'
        settings['echo__concurrency'] = concurrency
    others = {
        'multiprocessing.Manager().Queue': queue_workers.ManagedQueueWorkers,
        'multiprocessing.Queue': queue_workers.QueueWorkers,
        'ProcessPoolExecutor': queue_workers.PoolWorkers,
    }
    return Benchmark(
        key,
        (Figure(key, title, 'items/s', higher_is_better=True),),
        (
            Contender(OURS, partial(_pipeline, key, workers, **settings)),
            Contender('raw rclpy, there and back', partial(_raw_rclpy, key)),
            *(
                Contender(f'{name}, {told}', partial(_others, key, make, workers))
                for name, make in others.items()
            ),
        ),
    )


BENCHMARKS = (*(_benchmark(workers) for workers in WORKERS), _benchmark(2, DEEP))
