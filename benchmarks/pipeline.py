"""A pipeline of one stage, run as a user runs it."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from benchmarks.processes import start_module, stop, temporary_folder


@contextlib.contextmanager
def running_pipeline(workers: int, **settings: Any) -> Iterator[int]:
    """A manager with a stage ``echo``; yields its pid.

    ``settings`` are those of the pipeline, or of the stage where they begin with ``echo__``.
    """
    stage = {'plugin': 'benchmarks.echo_stage:Echo', 'workers': workers}
    parameters: dict[str, Any] = {'stages': ['echo'], 'echo': stage}
    for key, value in settings.items():
        head, _, rest = key.partition('__')
        (parameters[head] if rest else parameters)[rest or head] = value
    with temporary_folder() as folder:
        file = Path(folder) / 'parameters.yaml'
        file.write_text(yaml.safe_dump({'/**/manager': {'ros__parameters': parameters}}))
        manager = start_module(
            'worker_pipeline', 'manager', '--ros-args', '--params-file', str(file)
        )
        try:
            yield manager.pid
        finally:
            stop([manager], signal.SIGINT)
