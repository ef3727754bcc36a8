"""Processes of the tests' own, to be killed at will."""

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
    """A Python process that runs some code; what it prints is read line by line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.pid = process.pid

    def line(self) -> str:
        """The next line that it prints; '' when it has ended."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().rstrip('\n')

    def rest(self) -> list[str]:
        """What else it prints until it ends."""
        assert self._process.stdout is not None
        return self._process.stdout.read().splitlines()

    def tell(self, line: str = '') -> None:
        """Give it a line to read."""
        assert self._process.stdin is not None
        self._process.stdin.write(f'{line}\n')
        self._process.stdin.flush()

    def kill(self) -> list[str]:
        """SIGKILL; returns what it had printed before."""
        os.kill(self.pid, signal.SIGKILL)
        lines = self.rest()
        self._process.wait()
        return lines

    def wait(self) -> int:
        """Wait for its end; its exit code."""
        return self._process.wait(20.0)


@contextlib.contextmanager
def child(code: str, *arguments: object) -> Iterator[Child]:
    """Run code in a new Python process, which does not outlive the context."""
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
    """A process that does nothing until it is killed."""
    process = subprocess.Popen(['sleep', '1000'])
    try:
        yield process
    finally:
        process.kill()
        process.wait()
