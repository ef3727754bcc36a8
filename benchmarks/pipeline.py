# SPDX-License-Identifier: Apache-2.0
"""A pipeline of echo stages, run as a user runs it."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import yaml

from benchmarks.feeder import Feeder
from benchmarks.processes import start_module, stop, temporary_folder


def write_parameters(
    folder: str,
    workers: int,
    *,
    stages: int = 1,
    plugin: str = 'Echo',
    first: str = '',
    **settings: Any,
) -> Path:
    """Write a parameter file with stages ``echo``, ``echo_2`` and so on, in a chain; return it.

    ``first`` is the class of the first stage, if it is another one. ``settings`` are those of
    the pipeline, or of each stage if they begin with ``echo__``.
    """
    parameters: dict[str, Any] = {'stages': stage_names(stages)}
    stage: dict[str, Any] = {'plugin': f'benchmarks.stages:{plugin}', 'workers': workers}
    for key, value in settings.items():
        head, _, rest = key.partition('__')
        (stage if rest else parameters)[rest or head] = value
    source = ''
    for name in stage_names(stages):
        parameters[name] = stage | ({'input': source} if source else {})
        source = name
    if first:
        parameters['echo']['plugin'] = f'benchmarks.stages:{first}'
    file = Path(folder) / 'parameters.yaml'
    file.write_text(yaml.safe_dump({'/**/manager': {'ros__parameters': parameters}}))
    return file


def start_manager(parameters: Path) -> subprocess.Popen[bytes]:
    """Start a manager, that is, its guardian."""
    arguments = 'manager', '--ros-args', '--params-file', str(parameters)
    return start_module('worker_pipeline', *arguments)


@contextlib.contextmanager
def running_pipeline(workers: int, **settings: Any) -> Iterator[int]:
    """Run a manager with settings as in ``write_parameters``; yields its guardian's pid."""
    with temporary_folder() as folder:
        manager = start_manager(write_parameters(folder, workers, **settings))
        try:
            yield manager.pid
        finally:
            stop([manager], signal.SIGINT)


def manager_of(guardian: int) -> int:
    """Return the pid of the manager that a guardian has started."""
    found = [each.pid for each in psutil.Process(guardian).children() if each.name() == 'manager']
    return found[0]


def stage_names(stages: int) -> list[str]:
    """Return the names of the stages in a chain of this length."""
    return ['echo', *(f'echo_{number}' for number in range(2, stages + 1))]


def wait_until_active(feeder: Feeder, workers: int) -> None:
    """Wait until this many workers in total are active, and an item has been answered."""
    feeder.until_heard(workers, saying='active')
    feeder.until_answered(period=0.1)
    feeder.rest(1.0)
