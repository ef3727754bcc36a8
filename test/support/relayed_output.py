# SPDX-License-Identifier: Apache-2.0
"""Processes of a test whose output goes through the relay."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import psutil

import worker_pipeline

# The package without the imports of its __init__, which take most of a second.
PRELUDE = f"""
import os, signal, subprocess, sys, time, types
from pathlib import Path
package = types.ModuleType('worker_pipeline')
package.__path__ = {[*worker_pipeline.__path__]}
sys.modules['worker_pipeline'] = package
from worker_pipeline.output import redirect
from worker_pipeline.output.output_relay import OutputRelay, relayed_output

def fork_worker(output, work, record=None):
    '''Run a function in a child process that prints as a worker does; return its record and pid.'''
    record = record or Path(sys.argv[1], f's.worker_0.{{time.monotonic_ns()}}')
    output.watch(record, 's/worker_0')
    pid = os.fork()
    if not pid:
        output.enter_fork_server()
        redirect.redirect_worker_output(str(record))
        try:
            work()
        finally:
            os._exit(0)
    return record, pid
"""


@contextlib.contextmanager
def running(code: str, *arguments: object, **how: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run code after the prelude; its output is a pipe unless asked otherwise."""
    how = {'stdout': subprocess.PIPE, 'stderr': subprocess.STDOUT, **how}
    command = [sys.executable, '-c', PRELUDE + code, *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, **how) as process:
        family = psutil.Process(process.pid)
        try:
            yield process
        finally:
            with contextlib.suppress(psutil.NoSuchProcess):
                for each in [*family.children(recursive=True), family]:
                    each.kill()


def output_of(code: str, *arguments: object) -> list[str]:
    """Run code to its end; return the lines that it prints."""
    with running(code, *arguments) as process:
        found, _ = process.communicate(timeout=60)
        assert process.returncode == 0, found.decode()
        return found.decode().splitlines()
