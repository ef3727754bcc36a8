# SPDX-License-Identifier: Apache-2.0
"""The cost with more workers and stages: items per second, and the manager's CPU per item."""

from __future__ import annotations

import psutil

from benchmarks.feeder import Feeder
from benchmarks.figure import OURS, Benchmark, Contender, Figure
from benchmarks.pipeline import manager_of, running_pipeline, stage_names, wait_until_active
from benchmarks.processes import cpu_seconds

WORKERS = (1, 4, 8, 16)
STAGES = (1, 3, 7)
ITEMS = 3000
IN_FLIGHT = 200


def _measure() -> dict[str, list[float]]:
    samples: dict[str, list[float]] = {}
    for workers in WORKERS:
        rate, cpu = _cost(workers, 1)
        samples[f'rate_{workers}_workers'] = [rate]
        samples[f'cpu_{workers}_workers'] = [cpu]
    for stages in STAGES:
        rate, cpu = _cost(1, stages)
        samples[f'rate_{stages}_stages'] = [rate]
        samples[f'cpu_{stages}_stages'] = [cpu / stages]
    samples['cpu_growth'] = [samples['cpu_16_workers'][0] / samples['cpu_1_workers'][0]]
    return samples


def _cost(workers: int, stages: int) -> tuple[float, float]:
    """Return items per second, and microseconds of the manager's CPU per item."""
    with (
        running_pipeline(workers, stages=stages, echo__queue_size=2 * IN_FLIGHT) as manager,
        Feeder(last=stage_names(stages)[-1]) as feeder,
    ):
        wait_until_active(feeder, workers * stages)
        feeder.feed(ITEMS // 10, IN_FLIGHT)
        process = [psutil.Process(manager_of(manager))]
        before = cpu_seconds(process)
        seconds = feeder.feed(ITEMS, IN_FLIGHT)
        return ITEMS / seconds, 1e6 * (cpu_seconds(process) - before) / ITEMS


BENCHMARK = Benchmark(
    'growth',
    (
        *(
            figure
            for workers in WORKERS
            for figure in (
                Figure(f'rate_{workers}_workers', f'1 stage, {workers} workers', 'items/s', True),
                Figure(f'cpu_{workers}_workers', 'manager CPU for an item', 'us'),
            )
        ),
        Figure('cpu_growth', 'manager CPU for an item, 16 workers over 1', 'times'),
        *(
            figure
            for stages in STAGES
            for figure in (
                Figure(f'rate_{stages}_stages', f'{stages} stages, 1 worker each', 'items/s', True),
                Figure(f'cpu_{stages}_stages', 'manager CPU for an item and stage', 'us'),
            )
        ),
    ),
    (Contender(OURS, _measure),),
)
