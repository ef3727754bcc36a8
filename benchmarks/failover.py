# SPDX-License-Identifier: Apache-2.0
"""From SIGKILL of the worker that holds an item to the answer for it, by another worker."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import tempfile
import time
from functools import partial
from pathlib import Path

from benchmarks import marks
from benchmarks.feeder import Feeder
from benchmarks.figure import OURS, Benchmark, Contender, Figure
from benchmarks.pipeline import running_pipeline, wait_until_active
from benchmarks.respawner import LaunchRespawner, Respawner

KILLS = 10  # in each repeat
COLD_KILLS = 3  # for the slow peer
PAUSE = 1.0  # s, between an answer and the next kill
AT_ONCE = 5
# Measure the replacement itself, not its back-off.
AT_LEISURE = {'restart_backoff_max': 0.0, 'restart_limit': 1000}

_PEERS = {'a cold rclpy lifecycle node, respawned': Respawner}
# Our own folder of launch files has the same name.
if importlib.util.find_spec('launch.actions') is not None:
    _PEERS['the same, respawned by launch'] = LaunchRespawner


def _figures(key: str, title: str) -> tuple[Figure, ...]:
    return (
        Figure(f'{key}_p50', f'{title}, median', 'ms'),
        Figure(f'{key}_p99', f'{title}, 99th percentile', 'ms', percentile=99.0),
    )


def _killed_while_holding(
    key: str, workers: int, standby: int, spares: int
) -> dict[str, list[float]]:
    samples = []
    with (
        tempfile.TemporaryDirectory() as folder,
        running_pipeline(
            workers=workers,
            plugin='Holding',
            spares=spares,
            echo__standby=standby,
            echo__queue_size=1000,
            echo__task_timeout=60.0,
            # An item held by a killed worker must never be quarantined here.
            echo__max_attempts=5,
            **AT_LEISURE,
        ),
        Feeder() as feeder,
    ):
        wait_until_active(feeder, workers)
        for kill in range(KILLS):
            everybody = workers + standby
            feeder.until(
                lambda n=everybody: len(_at_rest(feeder)) == n,
                f'{everybody} workers that are ready',
            )
            feeder.rest(PAUSE)
            held = Path(folder) / f'{kill}'
            number = feeder.send(str(held))
            feeder.until(held.exists, 'somebody who holds the item')
            pid = int(held.read_text())
            begin = time.perf_counter()
            os.kill(pid, signal.SIGKILL)
            feeder.until(lambda number=number: number in feeder.answered, 'the answer')
            samples.append(1000.0 * (feeder.answered[number] - begin))
            feeder.until(lambda pid=pid: pid not in _at_rest(feeder), 'its heartbeats gone')
    return {f'{key}_p50': samples, f'{key}_p99': samples}


def _at_rest(feeder: Feeder) -> set[int]:
    """Return the processes in their expected state, as far as is known."""
    return {*feeder.pids(saying='active').values(), *feeder.pids(saying='inactive').values()}


def _respawned(key: str, kind: type[Respawner]) -> dict[str, list[float]]:
    """Items are sent all the time, so that the first possible one is answered."""
    samples = []
    with Feeder() as feeder, contextlib.closing(kind(feeder)) as respawner:
        respawner.start()
        for _ in range(COLD_KILLS):
            feeder.until_answered()
            feeder.rest(PAUSE)
            killed = respawner.kill_and_respawn()
            samples.append(1000.0 * (feeder.until_answered() - killed))
    return {f'{key}_p50': samples, f'{key}_p99': samples}


def _all_at_once() -> dict[str, list[float]]:
    """Kill five of five workers at once: until as many others are active and received."""
    active, heard = [], []
    with (
        marks.wanted() as folder,
        running_pipeline(workers=AT_ONCE, plugin='Marking', spares=0, **AT_LEISURE),
        Feeder() as feeder,
    ):
        wait_until_active(feeder, AT_ONCE)
        for _ in range(2):
            feeder.rest(PAUSE)
            before = set(feeder.pids(saying='active').values())
            marks.clear(folder)
            begin = time.monotonic()
            for pid in before:
                os.kill(pid, signal.SIGKILL)
            feeder.until(
                lambda before=before: (
                    len(set(feeder.pids(saying='active').values()) - before) == AT_ONCE
                ),
                'as many new ones',
            )
            heard.append(1000.0 * (time.monotonic() - begin))
            times = marks.read(folder)
            assert len(times) == AT_ONCE, f'{len(times)} of {AT_ONCE} have left their mark'
            active.append(1000.0 * (max(times) - begin))
    return {'five_at_once': active, 'five_at_once_heard': heard}


BENCHMARKS = (
    *(
        Benchmark(
            key,
            _figures(key, title),
            (
                Contender(OURS, partial(_killed_while_holding, key, workers, standby, spares)),
                *(Contender(name, partial(_respawned, key, kind)) for name, kind in _PEERS.items()),
            ),
        )
        for key, title, workers, standby, spares in (
            ('failover_standby', 'failover, 1 worker and 1 standby', 1, 1, 1),
            ('failover_second', 'failover, 2 workers', 2, 0, 1),
            ('failover_spare', 'failover, 1 worker and a spare', 1, 0, 1),
            ('failover_fork', 'failover, 1 worker alone', 1, 0, 0),
        )
    ),
    Benchmark(
        'five_at_once',
        (
            Figure('five_at_once', 'SIGKILL of 5 workers of 5 to 5 others active', 'ms'),
            Figure('five_at_once_heard', 'and seen by another node', 'ms'),
        ),
        (Contender(OURS, _all_at_once),),
    ),
)
