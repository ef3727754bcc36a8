# SPDX-License-Identifier: Apache-2.0
"""The processes of a mission, started as a user starts them: the manager and the vehicle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from worker_pipeline.airside.simulation.flight import SimulatedFlight

# Longer than a manager's shutdown_timeout and 3 s, so that it is always sufficient.
STOP_TIMEOUT = 20.0  # s


class Program:
    """A process ``python -m`` with ``arguments``; its output goes to ``log``.

    It has its own session, so that a Ctrl-C in the terminal reaches it once, through us. Its
    standard input ends when this process does.
    """

    def __init__(self, arguments: Sequence[str], log: Path) -> None:
        self._log = log
        with log.open('wb') as output:
            self._process = subprocess.Popen(
                [sys.executable, '-m', *arguments],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=os.environ | {'PYTHONUNBUFFERED': '1'},
            )

    @property
    def exit_code(self) -> int | None:
        """Return the exit code; None while it runs."""
        return self._process.poll()

    def stop(self, timeout: float = STOP_TIMEOUT) -> int:
        """Stop the process with SIGINT, then SIGKILL with its group; return its exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                return self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
        return self._process.wait()

    def log_tail(self, lines: int = 15) -> str:
        """Return the end of its output."""
        return '\n'.join(self._log.read_text(errors='replace').splitlines()[-lines:])


def start_manager(parameter_files: Sequence[Path], log: Path) -> Program:
    """Start the pipeline."""
    arguments = ['worker_pipeline', 'manager', '--ros-args']
    for file in parameter_files:
        arguments += ['--params-file', str(file)]
    return Program(arguments, log)


def start_vehicle(
    flight: SimulatedFlight, seed: int, begin: float, address: str, log: Path
) -> Program:
    """Start the vehicle at the other end of a MAVLink link.

    Args:
        flight: The flight.
        seed: Seed of its errors.
        begin: s since 1970; before it, the vehicle hovers.
        address: The address in pymavlink's notation.
        log: The file for its output.
    """
    arguments = ['worker_pipeline.airside.simulation.vehicle', '--connection', address]
    arguments += ['--seed', str(seed), '--begin', f'{begin:.6f}']
    arguments += ['--duration', f'{flight.duration:.6f}', '--with-stdin']
    return Program(arguments, log)
