# SPDX-License-Identifier: Apache-2.0
"""From SIGKILL of the manager to the first answer of a worker that the next one has adopted."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.feeder import Feeder
from benchmarks.figure import OURS, Benchmark, Contender, Figure
from benchmarks.pipeline import (
    manager_of,
    stage_names,
    start_manager,
    wait_until_active,
    write_parameters,
)
from benchmarks.processes import stop, temporary_folder
from benchmarks.stages import ANSWERS

STAGES = 7
KILLS = 5  # in each repeat
PAUSE = 1.5  # s, twice, between an answer and the next kill
WAITING = 800  # items sent before a kill, so that some wait for the next manager
# What a worker had received before the kill it answers within this time, s; and no manager is
# replaced as fast.
HELD = 0.03


class _Pipeline:
    """A pipeline of seven stages whose manager is killed again and again.

    Args:
        feeder: Feeds it, and receives what comes out of it.
        parameters: Its parameter file.
        answers: The file in which the first stage notes its answers.
    """

    def __init__(self, feeder: Feeder, parameters: Path, answers: Path) -> None:
        self._feeder = feeder
        self._parameters = parameters
        self._answers = answers
        self.process = start_manager(parameters)

    def kill_manager(self) -> None:
        """Kill the manager; its guardian replaces it."""
        os.kill(manager_of(self.process.pid), signal.SIGKILL)

    def respawn(self) -> None:
        """Kill the process that was started, and start it again as soon as it is gone."""
        self.process.kill()
        self.process.wait()
        self.process = start_manager(self._parameters)

    def measure(self, kill: Callable[[], None]) -> tuple[float, float]:
        """Return the times from a kill to the next worker's and to the next outside answer, s."""
        feeder = self._feeder
        feeder.rest(PAUSE)  # until the manager receives again what is sent
        for _ in range(WAITING):
            feeder.send()
        feeder.rest(PAUSE)
        size, known = self._answers.stat().st_size, set(feeder.answered)
        begin, begin_outside = time.monotonic(), time.perf_counter()
        kill()
        inside: list[float] = []

        def outside() -> list[float]:
            inside[:] = inside or self._answers_after(size, begin + HELD)[:1]
            fresh = (feeder.answered[each] for each in feeder.answered.keys() - known)
            return [each for each in fresh if inside and each > begin_outside + HELD]

        feeder.until(outside, 'an answer outside')
        return inside[0] - begin, min(outside()) - begin_outside

    def _answers_after(self, offset: int, begin: float) -> list[float]:
        """Return when the first stage has answered after a time."""
        with self._answers.open() as file:
            file.seek(offset)
            times = [float(line) for line in file if line.endswith('\n')]
        return [each for each in times if each > begin]


def _measure(kill: Callable[[_Pipeline], None]) -> dict[str, list[float]]:
    samples: dict[str, list[float]] = {'manager_inside': [], 'manager_outside': []}
    with temporary_folder() as folder:
        answers = Path(folder) / 'answers'
        answers.touch()
        os.environ[ANSWERS] = str(answers)
        settings = {'echo__queue_size': 10 * WAITING, 'echo__concurrency': 1, 'journal': True}
        parameters = write_parameters(
            folder, workers=1, stages=STAGES, first='Answering', **settings
        )
        with Feeder(last=stage_names(STAGES)[-1]) as feeder:
            pipeline = _Pipeline(feeder, parameters, answers)
            try:
                wait_until_active(feeder, STAGES)
                for _ in range(KILLS):
                    inside, outside = pipeline.measure(partial(kill, pipeline))
                    samples['manager_inside'].append(1e3 * inside)
                    samples['manager_outside'].append(1e3 * outside)
            finally:
                stop([pipeline.process], signal.SIGINT)
    return {
        f'{key}_{name}': times for key, times in samples.items() for name in ('median', 'longest')
    }


BENCHMARK = Benchmark(
    'manager_failover',
    tuple(
        Figure(
            f'manager_{key}_{name}',
            f'SIGKILL of the manager to {what}, {name}',
            'ms',
            percentile=percentile,
        )
        for key, what in (
            ('inside', "an adopted worker's next answer"),
            ('outside', 'the next output at a subscriber'),
        )
        for name, percentile in (('median', 50.0), ('longest', 100.0))
    ),
    (
        Contender(OURS, partial(_measure, _Pipeline.kill_manager)),
        Contender('the same, started again', partial(_measure, _Pipeline.respawn)),
    ),
)
