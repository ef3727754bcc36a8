# SPDX-License-Identifier: Apache-2.0
"""Child processes of a test, which it may kill."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]


class Child:
    """A Python process that runs some code; its output is read line by line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.pid = process.pid

    def line(self) -> str:
        """Return the next line of its output; '' when it has exited."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().rstrip('\n')

    def rest(self) -> list[str]:
        """Return the rest of its output, until it exits."""
        assert self._process.stdout is not None
        return self._process.stdout.read().splitlines()

    def tell(self, line: str = '') -> None:
        """Write a line to its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(f'{line}\n')
        self._process.stdin.flush()

    def kill(self) -> list[str]:
        """Kill it. Return the rest of its output."""
        os.kill(self.pid, signal.SIGKILL)
        lines = self.rest()
        self._process.wait()
        return lines

    def wait(self) -> int:
        """Wait until it exits. Return its exit code."""
        return self._process.wait(60.0)


@contextlib.contextmanager
def child(code: str, *arguments: object) -> Iterator[Child]:
    """Run code in a new Python process, which is killed at the end of the context."""
    process = subprocess.Popen(
        [sys.executable, '-c', code, *(str(each) for each in arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=CHECKOUT,
    )
    try:
        yield Child(process)
    finally:
        process.kill()
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        process.stdout.close()
        process.wait()


@contextlib.contextmanager
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """Yield a process that sleeps until it is killed."""
    process = subprocess.Popen(['sleep', '1000'])
    try:
        yield process
    finally:
        process.kill()
        process.wait()
