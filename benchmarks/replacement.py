"""From SIGKILL of the only worker to the first answer, beside a respawned lifecycle node."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from benchmarks.feeder import Feeder
from benchmarks.figure import Figure
from benchmarks.pipeline import running_pipeline
from benchmarks.respawner import Respawner

KILLS = 5
PAUSE = 1.0  # s, between a replacement and the next kill


FIGURES = (
    Figure(
        'replacement',
        'SIGKILL of the only worker to the first answer',
        'ms',
        'a cold rclpy lifecycle node, respawned',
    ),
)


def measure_pipeline() -> dict[str, list[float]]:
    """The item fed right after the kill waits in the manager for the replacement.

    No back-off, as what is asked is how long a replacement takes, not how long it is put off.
    """
    with (
        running_pipeline(workers=1, restart_backoff_max=0.0, restart_limit=100),
        Feeder() as feeder,
    ):
        return {'replacement': _kill_in_pipeline(feeder)}


def _kill_in_pipeline(feeder: Feeder) -> list[float]:
    samples, pid = [], 0

    def newest() -> int:
        return next(iter(feeder.pids(saying='active').values()), 0)

    for _ in range(KILLS):
        feeder.until(lambda gone=pid: newest() not in (0, gone), 'an active worker')
        feeder.until_answered(period=0.1)
        feeder.rest(PAUSE)
        pid = newest()
        begin = time.perf_counter()
        os.kill(pid, signal.SIGKILL)
        number = feeder.send()
        feeder.until(lambda asked=number: asked in feeder.answered, 'the answer after a kill')
        samples.append(1000.0 * (feeder.answered[number] - begin))
    return samples


def measure_peer() -> dict[str, list[float]]:
    """Items are fed all the while, so that the first one that can be is answered."""
    samples = []
    with Feeder() as feeder, contextlib.closing(Respawner(feeder)) as respawner:
        respawner.start()
        for _ in range(KILLS):
            feeder.until_answered()
            feeder.rest(PAUSE)
            begin = time.perf_counter()
            respawner.kill_and_respawn()
            samples.append(1000.0 * (feeder.until_answered() - begin))
    return {'replacement': samples}
