"""Small items per second through one stage, beside queues of a ``multiprocessing.Manager``."""

from __future__ import annotations

import contextlib
import time

from benchmarks.feeder import Feeder
from benchmarks.figure import Figure
from benchmarks.pipeline import running_pipeline
from benchmarks.queue_workers import QueueWorkers

WORKERS = 2
ITEMS = 4000
WARM_UP = 400
IN_FLIGHT = 200  # at most

FIGURES = (
    Figure(
        'throughput',
        f'throughput of a stage, {WORKERS} workers',
        'items/s',
        f'multiprocessing.Manager().Queue, {WORKERS} workers',
        higher_is_better=True,
    ),
)


def measure_pipeline() -> dict[str, list[float]]:
    """From a publisher, through the manager and a worker, and back in order."""
    with (
        running_pipeline(workers=WORKERS, echo__queue_size=2 * IN_FLIGHT),
        Feeder() as feeder,
    ):
        feeder.until(
            lambda: len(feeder.pids(saying='active')) == WORKERS, f'{WORKERS} active workers'
        )
        feeder.until_answered(period=0.1)
        feeder.rest(1.0)
        _feed(feeder, WARM_UP)
        return {'throughput': [ITEMS / _feed(feeder, ITEMS)]}


def _feed(feeder: Feeder, items: int) -> float:
    """Have so many items answered; returns seconds."""
    end = feeder.sent + items
    answers = len(feeder.answered) + items

    def send_next() -> None:
        if feeder.sent < end:
            feeder.send()

    begin = time.perf_counter()
    feeder.on_answer = send_next
    for _ in range(IN_FLIGHT):
        send_next()
    feeder.until(
        lambda: len(feeder.answered) >= answers, f'the answers to {items} items', timeout=60.0
    )
    return time.perf_counter() - begin


def measure_peer() -> dict[str, list[float]]:
    """From a queue, through a worker, into a queue."""
    with contextlib.closing(QueueWorkers(WORKERS)) as workers:
        workers.run(WARM_UP, IN_FLIGHT)
        return {'throughput': [ITEMS / workers.run(ITEMS, IN_FLIGHT)]}
