# SPDX-License-Identifier: Apache-2.0
"""From the command to every worker active, beside as many plain rclpy processes."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from benchmarks import marks
from benchmarks.feeder import Feeder
from benchmarks.figure import OURS, Benchmark, Contender, Figure
from benchmarks.pipeline import running_pipeline
from benchmarks.processes import start_module, stop

PROCESSES = 8


def _start_up(
    start: Callable[[], AbstractContextManager[Any]], saying: str
) -> dict[str, list[float]]:
    """Start them: until the last one is ready, and until a node outside has received them all."""
    with marks.wanted() as folder, Feeder() as feeder:
        feeder.rest(0.5)
        begin = time.monotonic()
        with start():
            feeder.until_heard(PROCESSES, saying=saying)
            heard = time.monotonic() - begin
            ready = marks.read(folder)
        assert len(ready) == PROCESSES, f'{len(ready)} of {PROCESSES} have left their mark'
        return {'start_up': [max(ready) - begin], 'start_up_heard': [heard]}


@contextlib.contextmanager
def plain_nodes(count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Start this many plain rclpy processes at once."""
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
    (
        Figure('start_up', f'the command to {PROCESSES} workers active', 's'),
        Figure('start_up_heard', f'the command to {PROCESSES} workers seen by another node', 's'),
    ),
    (
        Contender(
            OURS,
            partial(
                _start_up, partial(running_pipeline, workers=PROCESSES, plugin='Marking'), 'active'
            ),
        ),
        # They are ready with their first heartbeat, and configure nothing.
        Contender(
            f'{PROCESSES} plain rclpy processes',
            partial(_start_up, partial(plain_nodes, PROCESSES), 'alive'),
        ),
    ),
)
