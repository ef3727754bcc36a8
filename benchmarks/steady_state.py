# SPDX-License-Identifier: Apache-2.0
"""The cost of idle workers and their manager, beside as many plain rclpy processes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Sequence
from functools import partial

import psutil

from benchmarks.feeder import Feeder
from benchmarks.figure import OURS, Benchmark, Contender, Figure
from benchmarks.pipeline import running_pipeline
from benchmarks.processes import cpu_seconds
from benchmarks.start_up import plain_nodes

PROCESSES = (1, 4, 16)
SETTLING = 3.0  # s
WINDOW = 8.0  # s


def _pipeline(count: int) -> dict[str, list[float]]:
    """The manager, its fork server, a spare, and the workers."""
    with running_pipeline(workers=count) as manager:
        workers = _pids_when_up(count, saying='active')
        parent = psutil.Process(manager)
        return _observe(count, [parent, *parent.children(recursive=True)], workers)


def _plain(count: int) -> dict[str, list[float]]:
    """As many plain nodes, with heartbeats at the same rate."""
    with plain_nodes(count) as nodes:
        pids = _pids_when_up(count, saying='alive')
        return _observe(count, [psutil.Process(node.pid) for node in nodes], pids)


def _pids_when_up(count: int, saying: str) -> list[int]:
    """Return the pids of the processes once all send heartbeats; then stop listening."""
    with Feeder() as feeder:
        return feeder.until_heard(count, saying=saying)


def _observe(
    count: int, processes: Sequence[psutil.Process], pids: Iterable[int]
) -> dict[str, list[float]]:
    time.sleep(SETTLING)
    begin, before = time.monotonic(), cpu_seconds(processes)
    time.sleep(WINDOW)
    used, elapsed = cpu_seconds(processes) - before, time.monotonic() - begin
    private = [psutil.Process(pid).memory_full_info().uss for pid in pids]
    together = sum(process.memory_full_info().pss for process in processes)
    return {
        f'idle_cpu_{count}': [100.0 * used / elapsed],
        f'private_memory_{count}': [statistics.median(private) / 1e6],
        f'all_memory_{count}': [together / 1e6],
    }


def _benchmark(count: int) -> Benchmark:
    told = f'{count} worker{"s" if count > 1 else ""}'
    return Benchmark(
        f'steady_state_{count}',
        (
            Figure(f'idle_cpu_{count}', f'CPU, manager and {told}, idle', '% of a core'),
            Figure(f'private_memory_{count}', f'private memory of each of {told}', 'MB'),
            Figure(f'all_memory_{count}', f'memory of all, helpers and {told}', 'MB'),
        ),
        (
            Contender(OURS, partial(_pipeline, count)),
            Contender(
                f'{count} plain rclpy process{"es" if count > 1 else ""}', partial(_plain, count)
            ),
        ),
    )


BENCHMARKS = tuple(_benchmark(count) for count in PROCESSES)
