# SPDX-License-Identifier: Apache-2.0
"""The pool of spare processes, each of which can become any slot's next worker.

Most of a new worker's start-up time goes to its DDS participant: creating it, and its discovery by
others, which takes up to three seconds for a node with default settings. A spare has done that in
advance. It still has to import its stage's module and to create its node.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import attrs

from worker_pipeline.protocol.worker_spec import WorkerSpec
from worker_pipeline.ros.process_config import RosProcessConfig
from worker_pipeline.system.processes import Launcher, WorkerProcess
from worker_pipeline.worker.process import run_worker
from worker_pipeline.worker.spare import READY, run_spare

# How long to wait after a spare exited or could not be started, s.
RESTART_DELAY = 1.0


@attrs.define(eq=False)
class _Spare:
    process: WorkerProcess
    command_pipe: Connection
    is_ready: bool = False


class SparePool:
    """Starts workers: from a spare that is ready, or else by a fork.

    Args:
        count: How many spares to keep.
        launcher: Starts their processes.
        namespace: The namespace of their placeholder nodes.
        next_ros_config: Returns the ROS set-up of the next process.
        logger: Logs failures.
    """

    def __init__(
        self,
        count: int,
        launcher: Launcher,
        namespace: str,
        next_ros_config: Callable[[], RosProcessConfig],
        logger: Any,
    ) -> None:
        self._count = count
        self._launcher = launcher
        self._namespace = namespace
        self._next_ros_config = next_ros_config
        self._logger = logger
        self._spares: list[_Spare] = []
        self._not_before = 0.0

    @property
    def ready(self) -> int:
        """Return how many spares could become a worker now."""
        return sum(each.is_ready for each in self._spares)

    def start(self, spec: WorkerSpec) -> WorkerProcess:
        """Start a worker and return its process. Raises OSError."""
        for spare in self._spares:  # the oldest first, as most processes have discovered it
            if spare.is_ready:
                self._spares.remove(spare)
                # If it has just died, its exit is reported as that of the worker.
                with spare.command_pipe, contextlib.suppress(OSError):
                    spare.command_pipe.send(spec)
                return spare.process
        return self._launcher.start(run_worker, (spec,), name=spec.name)

    def tick(self, now: float, *, allow_start: bool) -> None:
        """See which spares are ready, and start a missing one.

        ``allow_start``: whether a spare may be started, as no worker is being started.
        """
        for spare in self._spares:
            with contextlib.suppress(EOFError, OSError):
                if not spare.is_ready and spare.command_pipe.poll():
                    spare.is_ready = spare.command_pipe.recv() == READY
        is_one_starting = self.ready < len(self._spares)
        if allow_start and not is_one_starting and len(self._spares) < self._count:
            self._start_spare(now)

    def _start_spare(self, now: float) -> None:
        if now < self._not_before:
            return
        ours: Connection | None = None
        try:
            ours, its = self._launcher.pipe(duplex=True)
            with its:
                arguments = self._next_ros_config(), self._namespace, its
                process = self._launcher.start(run_spare, arguments, name='spare')
        except OSError as error:
            if ours is not None:
                ours.close()
            self._not_before = now + RESTART_DELAY
            self._logger.error(f'a spare cannot be started: {error}', throttle_duration_sec=10.0)
            return
        self._spares.append(_Spare(process, ours))

    def on_exit(self, pid: int, reason: str) -> None:
        """Forget a spare whose process has exited; another one replaces it. Others are ignored."""
        for spare in self._spares:
            if spare.process.pid == pid:
                self._spares.remove(spare)
                spare.command_pipe.close()
                self._not_before = time.monotonic() + RESTART_DELAY
                self._logger.warning(f'a spare (pid {pid}) exited: {reason}')
                return

    def close(self) -> None:
        """Make all spares exit, and start no more."""
        self._count = 0
        for spare in self._spares:
            spare.command_pipe.close()
        self._spares.clear()
