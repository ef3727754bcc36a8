"""Spares: processes that belong to no stage yet, kept ready to become any slot's next worker.

What takes a new worker's process its time is its DDS participant: to make it, and for others to
discover it, which takes a node with default settings up to three seconds. A spare has done that in
advance; it has yet to import its stage's module and make its node. It has one idle node, hidden
(its name begins with ``_``), as there is no participant without.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import attrs
import rclpy

from worker_pipeline.nodes.participation import Participation, taking_part
from worker_pipeline.nodes.worker import run_worker
from worker_pipeline.nodes.worker_contract import WorkerSpec
from worker_pipeline.runtime.proc import call_this_process
from worker_pipeline.runtime.processes import Launcher, WorkerProcess

# After one has ended by itself, or could not be started, s.
PAUSE = 1.0


def run_spare(terms: Participation, namespace: str, orders: Connection) -> None:
    """The life of a spare. Called on the main thread of its process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    call_this_process('spare')
    with taking_part(terms):
        idle = rclpy.create_node(
            f'_spare_{os.getpid()}',
            namespace=namespace,
            use_global_arguments=False,
            enable_rosout=False,
            start_parameter_services=False,
        )
    spec: WorkerSpec | None = None
    # Without a manager there is nothing to become.
    with orders, contextlib.suppress(EOFError, OSError):
        orders.send('ready')
        spec = orders.recv()
    if spec is not None:
        run_worker(spec, idle)
    else:
        idle.destroy_node()
        rclpy.shutdown()


@attrs.define(eq=False)
class _Spare:
    process: WorkerProcess
    orders: Connection
    is_ready: bool = False


class Spares:
    """Starts workers: each as one of the spares where one is ready, else by a fork.

    ``count``: how many are kept. ``participation``: what the next one is told.
    """

    def __init__(
        self,
        count: int,
        launcher: Launcher,
        namespace: str,
        participation: Callable[[], Participation],
        logger: Any,
    ) -> None:
        self._count = count
        self._launcher = launcher
        self._namespace = namespace
        self._participation = participation
        self._logger = logger
        self._spares: list[_Spare] = []
        self._not_before = 0.0

    @property
    def ready(self) -> int:
        """How many could become a worker now."""
        return sum(each.is_ready for each in self._spares)

    def start(self, spec: WorkerSpec) -> WorkerProcess:
        """Start a worker. Raises OSError when it cannot be."""
        for spare in self._spares:  # the oldest first: it is known to most
            if spare.is_ready:
                self._spares.remove(spare)
                # If it is dead, that is about to be told.
                with spare.orders, contextlib.suppress(OSError):
                    spare.orders.send(spec)
                return spare.process
        return self._launcher.start(run_worker, (spec,), name=spec.name)

    def tick(self, now: float, *, calm: bool) -> None:
        """See who is ready; ``calm``: no worker is being started, so a spare may be."""
        for spare in self._spares:
            with contextlib.suppress(EOFError, OSError):
                if not spare.is_ready and spare.orders.poll():
                    spare.is_ready = spare.orders.recv() == 'ready'
        is_one_coming = self.ready < len(self._spares)
        if calm and not is_one_coming and len(self._spares) < self._count:
            self._start_one(now)

    def _start_one(self, now: float) -> None:
        if now < self._not_before:
            return
        ours, its = self._launcher.pipe(duplex=True)
        try:
            with its:
                arguments = self._participation(), self._namespace, its
                process = self._launcher.start(run_spare, arguments, name='spare')
        except OSError as error:
            ours.close()
            self._not_before = now + PAUSE
            self._logger.error(f'a spare cannot be started: {error}', throttle_duration_sec=10.0)
            return
        self._spares.append(_Spare(process, ours))

    def ended(self, pid: int, reason: str) -> None:
        """A process has ended; if it was a spare, another one takes its place."""
        for spare in self._spares:
            if spare.process.pid == pid:
                self._spares.remove(spare)
                spare.orders.close()
                self._not_before = time.monotonic() + PAUSE
                self._logger.warning(f'a spare (pid {pid}) ended: {reason}')
                return

    def close(self) -> None:
        """Keep none any more, and have those there are end."""
        self._count = 0
        for spare in self._spares:
            spare.orders.close()
        self._spares.clear()
