# SPDX-License-Identifier: Apache-2.0
"""The gain of a second worker under real load: a detector on a camera image."""

from __future__ import annotations

from benchmarks.feeder import Feeder
from benchmarks.figure import OURS, Benchmark, Contender, Figure
from benchmarks.pipeline import running_pipeline, wait_until_active

ITEMS = 300
IN_FLIGHT = 8


def _measure() -> dict[str, list[float]]:
    rates = {}
    for workers in (1, 2):
        with (
            running_pipeline(workers=workers, plugin='Detect', echo__queue_size=100),
            Feeder() as feeder,
        ):
            wait_until_active(feeder, workers)
            feeder.feed(20, IN_FLIGHT)
            rates[workers] = ITEMS / feeder.feed(ITEMS, IN_FLIGHT)
    return {
        'detections': [rates[2]],
        'speed_up': [rates[2] / rates[1]],
    }


BENCHMARK = Benchmark(
    'scaling',
    (
        Figure('detections', 'a detector on 1920 x 1200, 2 workers', 'items/s', True),
        Figure('speed_up', 'speed-up of 2 workers over 1', 'times', True),
    ),
    (Contender(OURS, _measure),),
)
