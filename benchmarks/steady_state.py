"""What 8 idle workers and their manager cost, beside 8 plain rclpy processes."""

from __future__ import annotations

import contextlib
import signal
import statistics
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence

import psutil

from benchmarks.feeder import Feeder
from benchmarks.figure import Figure
from benchmarks.pipeline import running_pipeline
from benchmarks.processes import cpu_seconds, start_module, stop

PROCESSES = 8
SETTLING = 3.0  # s
WINDOW = 8.0  # s

_PEER = f'{PROCESSES} plain rclpy processes'
FIGURES = (
    Figure('idle_cpu', f'CPU, manager and {PROCESSES} idle workers', '% of a core', _PEER),
    Figure('private_memory', 'private memory (USS) of a worker', 'MB', 'a plain rclpy process'),
    Figure(
        'all_memory',
        f'memory (PSS) of manager, fork server, {PROCESSES} workers together',
        'MB',
        _PEER,
    ),
)


def measure_pipeline() -> dict[str, list[float]]:
    """The manager, its fork server, and the workers."""
    with running_pipeline(workers=PROCESSES) as manager:
        workers = _pids_when_up(saying='active')
        parent = psutil.Process(manager)
        return _observe([parent, *parent.children(recursive=True)], workers)


def measure_peer() -> dict[str, list[float]]:
    """As many plain nodes, with heartbeats at the same rate."""
    with _plain_nodes() as nodes:
        pids = _pids_when_up(saying='alive')
        return _observe([psutil.Process(node.pid) for node in nodes], pids)


def _pids_when_up(saying: str) -> list[int]:
    """The pids of the processes that beat, when all do. Nobody listens from then on but theirs."""
    with Feeder() as feeder:
        feeder.until(
            lambda: len(feeder.pids(saying=saying)) == PROCESSES,
            f'heartbeats of {PROCESSES} processes that are {saying}',
            60.0,
        )
        return list(feeder.pids(saying=saying).values())


def _observe(processes: Sequence[psutil.Process], pids: Iterable[int]) -> dict[str, list[float]]:
    time.sleep(SETTLING)
    begin, before = time.monotonic(), cpu_seconds(processes)
    time.sleep(WINDOW)
    used, elapsed = cpu_seconds(processes) - before, time.monotonic() - begin
    private = [psutil.Process(pid).memory_full_info().uss for pid in pids]
    together = sum(process.memory_full_info().pss for process in processes)
    return {
        'idle_cpu': [100.0 * used / elapsed],
        'private_memory': [statistics.median(private) / 1e6],
        'all_memory': [together / 1e6],
    }


@contextlib.contextmanager
def _plain_nodes() -> Iterator[list[subprocess.Popen[bytes]]]:
    nodes: list[subprocess.Popen[bytes]] = []
    try:
        for index in range(PROCESSES):
            remap = ('-r', f'__node:=plain_{index}', '-r', '__ns:=/airside')
            nodes.append(start_module('benchmarks.plain_node', '--ros-args', *remap))
        yield nodes
    finally:
        stop(nodes, signal.SIGTERM)
