# SPDX-License-Identifier: Apache-2.0
"""Measurement of one contender in a process of its own, and the end of all that it started."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

from benchmarks.processes import MARK, REPOSITORY, end_marked, temporary_folder
from worker_pipeline.testing import isolated_domain

DOMAINS = (100, 101)  # not used by any test

TIMEOUT = 180.0  # s


class MeasuringError(Exception):
    """A contender could not be measured; the text says why."""


def measure(benchmark: str, contender: str) -> dict[str, list[float]]:
    """Return the samples of one contender in one repeat, by figure."""
    mark = uuid.uuid4().hex
    with isolated_domain(DOMAINS) as domain, temporary_folder() as folder:
        result, log = Path(folder) / 'result.json', Path(folder) / 'log'
        environment = os.environ | {
            MARK: mark,
            'ROS_DOMAIN_ID': str(domain),
            'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
            'ROS_LOG_DIR': folder,
        }
        with log.open('wb') as output:
            process = subprocess.Popen(
                [sys.executable, '-m', 'benchmarks.measure', benchmark, contender, str(result)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=REPOSITORY,
                start_new_session=True,
            )
        try:
            code = process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            _end(process, mark)
        if code != 0:
            words = '\n'.join(log.read_text(errors='replace').splitlines()[-15:])
            why = f'not done within {TIMEOUT:g} s' if code is None else f'exit code {code}'
            raise MeasuringError(f'{benchmark}, {contender}: {why}; it printed:\n{words}')
        return json.loads(result.read_text())


def _end(process: subprocess.Popen[bytes], mark: str) -> None:
    """Stop a measuring process, cleanly if possible, and then everything that it started."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handlers = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20.0)
        end_marked(mark)
        process.wait(5.0)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
