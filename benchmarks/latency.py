# SPDX-License-Identifier: Apache-2.0
"""The latency of items through chains of stages at 30 Hz, beside chains of plain nodes."""

from __future__ import annotations

import contextlib
import signal
import statistics
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from benchmarks.feeder import Feeder
from benchmarks.figure import OURS, Benchmark, Contender, Figure
from benchmarks.pipeline import running_pipeline, stage_names
from benchmarks.processes import start_module, stop

STAGES = (1, 3, 7)
RATE = 30.0  # Hz
ITEMS = 300
WARM_UP = 30


def _measure(chain: Callable[[int], AbstractContextManager[Any]]) -> dict[str, list[float]]:
    samples: dict[str, list[float]] = {}
    for stages in STAGES:
        with chain(stages), Feeder(last=stage_names(stages)[-1]) as feeder:
            feeder.until_answered(period=0.2)
            feeder.rest(2.0)
            feeder.pace(WARM_UP, 1.0 / RATE)
            taken = [1000.0 * each for each in feeder.pace(ITEMS, 1.0 / RATE)]
            samples[f'latency_{stages}_p50'] = samples[f'latency_{stages}_p99'] = taken
    few, many = STAGES[0], STAGES[-1]
    added = [statistics.median(samples[f'latency_{stages}_p50']) for stages in (few, many)]
    samples['added_latency'] = [(added[1] - added[0]) / (many - few)]
    return samples


def _pipeline(stages: int) -> AbstractContextManager[int]:
    return running_pipeline(workers=1, stages=stages)


@contextlib.contextmanager
def _plain_nodes(stages: int) -> Iterator[None]:
    """A chain of plain rclpy processes, each with one subscription and one publisher."""
    nodes: list[subprocess.Popen[bytes]] = []
    names = stage_names(stages)
    try:
        source = 'echo/input'
        for name in names:
            nodes.append(start_module('benchmarks.plain_link', source, f'{name}/output'))
            source = f'{name}/output'
        yield
    finally:
        stop(nodes, signal.SIGTERM)


BENCHMARK = Benchmark(
    'latency',
    (
        *(
            Figure(
                f'latency_{stages}_p{share:g}',
                f'latency through {stages} stage{"s" if stages > 1 else ""} at {RATE:g} Hz, {told}',
                'ms',
                percentile=share,
            )
            for stages in STAGES
            for share, told in ((50.0, 'median'), (99.0, '99th percentile'))
        ),
        Figure('added_latency', 'added by each further stage, median', 'ms'),
    ),
    (
        Contender(OURS, lambda: _measure(_pipeline)),
        Contender('as many plain rclpy processes', lambda: _measure(_plain_nodes)),
    ),
)
