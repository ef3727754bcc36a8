# SPDX-License-Identifier: Apache-2.0
"""Trees of real processes, seen from outside."""

from __future__ import annotations

import contextlib
from pathlib import Path

import psutil

from worker_pipeline.testing import wait_for

# A manager that is killed: it starts a worker and prints the pids of both and of the fork server.
MANAGER = """
import sys, time
from pathlib import Path
sys.path.append('test')
from support import tree_workers
from worker_pipeline.system.processes import Launcher
launcher = Launcher('json', lambda pid, reason: None)
launcher.open()
target = getattr(tree_workers, (*sys.argv, 'run')[3])
worker = launcher.start(target, (sys.argv[2], Path(sys.argv[1])), 'worker')
print(worker.pid, *launcher.helper_pids, flush=True)
time.sleep(1000)
"""


def tree_below(folder: Path, pid: int) -> list[psutil.Process]:
    """Return the processes below a worker, once it has started them all."""
    wait_for((folder / 'grown').exists, 'the processes of the worker')
    return psutil.Process(pid).children(recursive=True)


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [each for each in processes if is_alive(each)]


def is_alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
