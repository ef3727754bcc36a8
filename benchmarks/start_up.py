"""From the command to every worker active, beside as many plain rclpy processes."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections.abc import Iterator

from benchmarks.feeder import Feeder
from benchmarks.figure import OURS, Benchmark, Contender, Figure
from benchmarks.pipeline import running_pipeline
from benchmarks.processes import start_module, stop

PROCESSES = 8


def _pipeline() -> dict[str, list[float]]:
    with Feeder() as feeder:
        feeder.rest(0.5)
        begin = time.perf_counter()
        with running_pipeline(workers=PROCESSES):
            return {'start_up': [_seconds_until_heard(feeder, 'active', begin)]}


def _plain() -> dict[str, list[float]]:
    """They are up with their first heartbeat, and configure nothing."""
    with Feeder() as feeder:
        feeder.rest(0.5)
        begin = time.perf_counter()
        with plain_nodes(PROCESSES):
            return {'start_up': [_seconds_until_heard(feeder, 'alive', begin)]}


def _seconds_until_heard(feeder: Feeder, saying: str, begin: float) -> float:
    feeder.until_heard(PROCESSES, saying=saying)
    return time.perf_counter() - begin


@contextlib.contextmanager
def plain_nodes(count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """So many plain rclpy processes, started at once."""
    nodes: list[subprocess.Popen[bytes]] = []
    try:
        for index in range(count):
            remap = ('-r', f'__node:=plain_{index}', '-r', '__ns:=/airside')
            nodes.append(start_module('benchmarks.plain_node', '--ros-args', *remap))
        yield nodes
    finally:
        stop(nodes, signal.SIGTERM)


BENCHMARK = Benchmark(
    'start_up',
    (Figure('start_up', f'the command to {PROCESSES} workers active', 's'),),
    (
        Contender(OURS, _pipeline),
        Contender(f'{PROCESSES} plain rclpy processes', _plain),
    ),
)
