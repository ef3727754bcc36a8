"""The manager's process, as the mission runs it: a program of its own, as a user starts it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

# Longer than a manager may take to stop (its shutdown_timeout and 3 s), so that it never has to.
STOP_TIMEOUT = 20.0  # s


class Manager:
    """``python -m worker_pipeline manager`` with parameter files; what it prints goes to ``log``.

    It has a session of its own, so that a Ctrl-C on the terminal comes to it once, from us.
    """

    def __init__(self, parameter_files: Sequence[Path], log: Path) -> None:
        command = [sys.executable, '-m', 'worker_pipeline', 'manager', '--ros-args']
        for file in parameter_files:
            command += ['--params-file', str(file)]
        self._log = log
        with log.open('wb') as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
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
