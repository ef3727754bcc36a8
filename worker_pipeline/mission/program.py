"""The programs that a mission starts, as a user starts them: the manager and the vehicle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from worker_pipeline.simulation.flight import SimulatedFlight

# Longer than a manager may take to stop (its shutdown_timeout and 3 s), so that it never has to.
STOP_TIMEOUT = 20.0  # s


class Program:
    """``python -m`` with ``arguments``; what it prints goes to ``log``.

    It has a session of its own, so that a Ctrl-C on the terminal comes to it once, from us. Its
    standard input ends when we do.
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
        """None while it runs."""
        return self._process.poll()

    def stop(self, timeout: float = STOP_TIMEOUT) -> int:
        """Ask it to end and wait; if it does not, end it and all it started. Its exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                return self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
        return self._process.wait()

    def last_words(self, lines: int = 15) -> str:
        """The end of what it printed."""
        return '\n'.join(self._log.read_text(errors='replace').splitlines()[-lines:])


def start_manager(parameter_files: Sequence[Path], log: Path) -> Program:
    """The pipeline."""
    arguments = ['worker_pipeline', 'manager', '--ros-args']
    for file in parameter_files:
        arguments += ['--params-file', str(file)]
    return Program(arguments, log)


def start_vehicle(
    flight: SimulatedFlight, seed: int, begin: float, address: str, log: Path
) -> Program:
    """The vehicle, at the other end of a MAVLink link.

    ``begin``: s since 1970; before it, the vehicle hovers. ``address``: as pymavlink writes them.
    """
    arguments = ['worker_pipeline.simulation.vehicle', '--connection', address]
    arguments += ['--seed', str(seed), '--begin', f'{begin:.6f}']
    arguments += ['--duration', f'{flight.duration:.6f}', '--with-stdin']
    return Program(arguments, log)
