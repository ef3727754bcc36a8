# SPDX-License-Identifier: Apache-2.0
"""Starting processes, and ending each of them by its id."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import psutil

from worker_pipeline.ros.shared_memory import SharedMemoryUse

REPOSITORY = Path(__file__).parents[1]
# In the environment of a measuring process and of all its descendants, so that each of them can be
# found, even without its parents.
MARK = 'WORKER_PIPELINE_BENCHMARK'
# The shared memory that this process has used, to be removed at its end.
SHARED_MEMORY = SharedMemoryUse()


def start_module(
    module: str, *arguments: str, environment: dict[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start ``python -m module`` in a session of its own, so that only we forward a Ctrl-C."""
    return subprocess.Popen(
        [sys.executable, '-m', module, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env=os.environ | (environment or {}),
        cwd=REPOSITORY,
        start_new_session=True,
    )


def stop(processes: Sequence[subprocess.Popen[bytes]], number: signal.Signals) -> None:
    """Ask processes to exit, wait for a bounded time, and kill what is left."""
    for process in processes:
        process.send_signal(number)
    for process in processes:
        try:
            process.wait(15.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5.0)


def end_marked(mark: str) -> None:
    """Kill all processes with a mark, and remove the shared memory that only they used."""
    left = _marked(mark)
    shared_memory = SharedMemoryUse()
    for process in left:
        shared_memory.note(process.pid)
    for process in left:
        try:
            process.kill()  # psutil makes sure that it is still the same process
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(left, 5.0)
    shared_memory.sweep()


def _marked(mark: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(MARK) == mark:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def cpu_seconds(processes: Sequence[psutil.Process]) -> float:
    """Return the CPU time that processes have used so far."""
    times = [process.cpu_times() for process in processes]
    return sum(each.user + each.system for each in times)


def temporary_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder for parameter files and logs."""
    return tempfile.TemporaryDirectory(prefix='worker_pipeline_benchmark_')
