# SPDX-License-Identifier: Apache-2.0
"""The thread that proves that a worker is running, and ends it when it is orphaned."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
import time
from pathlib import Path

from worker_pipeline.core.hold_up import TimeLimit
from worker_pipeline.exit_codes import EXIT_ORPHANED
from worker_pipeline.protocol.worker_spec import WorkerSpec
from worker_pipeline.recovery.liveness import LivenessRecord
from worker_pipeline.recovery.state_dir import (
    manager_of,
    remove_liveness_record,
    save_orphan_snapshot,
)
from worker_pipeline.system.own_tree import end_own_tree, is_abandoned
from worker_pipeline.worker.manager_client import ManagerClient

RECONNECT_PERIOD = 0.02  # s
# What one turn of the wait for a manager counts at most, s: in a longer one this process was
# stopped, and so was whoever starts the next manager, perhaps.
LONGEST_TURN = 1.0
# The period for some time after the loss of a manager, whose guardian replaces it at once, s.
QUICK_RECONNECT_PERIOD, QUICK_FOR = 0.004, 2.0


class LivenessThread:
    """Writes heartbeats to the liveness record, and watches the manager's process.

    The heartbeats stop when the process is stopped, or its code holds the GIL; they continue when
    it waits for DDS. When the manager dies, the thread waits for the next one to connect to, and
    ends the process after ``orphan_timeout``.

    Args:
        spec: The worker's spec.
        liveness: Its liveness record.
    """

    def __init__(self, spec: WorkerSpec, liveness: LivenessRecord) -> None:
        self.client: ManagerClient | None = None  # set once the worker's node exists
        self._spec = spec
        self._liveness = liveness
        self._manager = spec.manager_pid
        self._saved: list[int | bytes] = []
        self._lost_at = float('-inf')  # when the manager died, s

    def start(self) -> None:
        """Register this process, and start. Exits at once if the manager has died meanwhile."""
        self._liveness.register()
        if manager_of(Path(self._spec.lock)) != self._manager:
            os._exit(EXIT_ORPHANED)
        threading.Thread(target=self._run, name='liveness', daemon=True).start()

    def _run(self) -> None:
        while True:
            self._run_while_managed()
            self._lost_at = time.monotonic()
            if self.client is not None:
                self.client.channel.read(everything=True)  # the last packets of the dead manager
            self._manager = self._wait_for_manager()
            if not self._liveness.path.exists():
                # A manager finds workers by their liveness records. Without one, this worker would
                # keep running beside a new worker of the same name.
                self._exit('its liveness record was removed')

    def _run_while_managed(self) -> None:
        """Write heartbeats, and connect whenever the channel is closed, until the manager dies."""
        try:
            pidfd = os.pidfd_open(self._manager)
        except ProcessLookupError:
            return
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        while not poll.poll(self._connect() * 1e3):
            self._liveness.heartbeat()
            self._keep_files()
        os.close(pidfd)

    def _keep_files(self) -> None:
        """Make this worker's files anew if they are gone, but the manager is not."""
        with contextlib.suppress(OSError):  # it has not made their folder yet
            was_made = self._liveness.keep_in_place()
            if self.client is not None:
                self.client.keep_files(was_folder_gone=was_made)

    def _connect(self) -> float:
        """Connect if the channel is closed; return when to look again, s."""
        period, client = self._spec.heartbeat_period, self.client
        if client is None or client.channel.connected or client.channel.connect(self._manager):
            return period
        return min(period, self._reconnect_period)

    @property
    def _reconnect_period(self) -> float:
        is_recent = time.monotonic() < self._lost_at + QUICK_FOR
        return QUICK_RECONNECT_PERIOD if is_recent else RECONNECT_PERIOD

    def _wait_for_manager(self) -> int:
        """Return the pid of the next manager; exit if there is none within ``orphan_timeout``."""
        limit = TimeLimit(self._spec.orphan_timeout, LONGEST_TURN, time.monotonic())
        while (manager := manager_of(Path(self._spec.lock))) is None:
            if limit.left(time.monotonic()) < 0.0:
                self._exit(f'no manager for {self._spec.orphan_timeout:g} s')
            if self._spec.save_when_orphaned:
                self._save_snapshot()
            time.sleep(min(self._spec.heartbeat_period, self._reconnect_period))
            self._liveness.heartbeat()
        return manager

    def _save_snapshot(self) -> None:
        """Save this process's own state, for the next manager; if it has changed."""
        if self.client is None:
            return
        snapshot = self.client.orphan_snapshot()
        saved = [*snapshot.items, *(snapshot.retained_frames or ())]
        if saved != self._saved:
            with contextlib.suppress(OSError):  # no space: tried again
                save_orphan_snapshot(self._liveness, snapshot)
                self._saved = saved

    def _exit(self, reason: str) -> None:
        with contextlib.suppress(OSError):  # standard error may be closed
            print(f'{self._spec.name}: {reason}; exiting', file=sys.stderr, flush=True)
        # Before the record is removed: a worker that is killed meanwhile leaves the rest to the
        # next manager.
        if is_abandoned():
            end_own_tree(self._spec.name)
        remove_liveness_record(self._liveness)
        os._exit(EXIT_ORPHANED)
