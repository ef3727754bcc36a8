# SPDX-License-Identifier: Apache-2.0
"""Looks after the folder of a running pipeline, and makes anew what somebody has removed."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from typing import Any

from worker_pipeline.core.folder_repair import FolderRepair, Part, describe_parts
from worker_pipeline.manager.channel_server import ChannelServer
from worker_pipeline.manager.outbox import Outbox
from worker_pipeline.output.output_relay import PID_FILE, OutputRelay
from worker_pipeline.recovery.folder_lock import AlreadyRunningError
from worker_pipeline.recovery.liveness import LivenessRecord
from worker_pipeline.recovery.set_aside import make_way_for_file
from worker_pipeline.recovery.state_dir import PipelineStateDir
from worker_pipeline.ros.throttled_log import ThrottledLog
from worker_pipeline.system.files import is_folder

CHECK_PERIOD = 0.25  # s


class FolderGuard:
    """Checks the folder every ``CHECK_PERIOD``.

    Args:
        state_dir: the folder.
        channels: has the socket.
        outbox: has the journal.
        output: has its pid in the folder.
        records: returns the liveness records of the present workers.
        log: of the manager.
    """

    def __init__(
        self,
        state_dir: PipelineStateDir,
        channels: ChannelServer,
        outbox: Outbox,
        output: OutputRelay,
        records: Callable[[], Iterable[LivenessRecord]],
        log: ThrottledLog,
    ) -> None:
        self.lost = ''  # why this manager has to end, once another one has its folder
        self._state_dir = state_dir
        self._outbox = outbox
        self._output = output
        self._records = records
        self._log = log
        self._repair = FolderRepair()
        self._checked_at = float('-inf')
        self._is_in_place: dict[Part, Callable[[], bool]] = {
            Part.FOLDER: state_dir.lock.is_folder_in_place,
            Part.LOCK: state_dir.lock.is_readable,
            Part.WORKERS: lambda: is_folder(state_dir.workers),
            Part.STATES: lambda: is_folder(state_dir.states),
            Part.FRAMES: lambda: is_folder(state_dir.frames),
            Part.HELPERS: state_dir.has_helpers_file,
            Part.RELAY: lambda: output.is_registered(state_dir.path),
            Part.SOCKET: channels.is_in_place,
            Part.JOURNAL: outbox.journal.is_in_place,
        }
        self._make: dict[Part, Callable[[], Any]] = {
            Part.FOLDER: state_dir.lock.remake_folder,
            Part.LOCK: state_dir.lock.acquire_anew,
            Part.WORKERS: lambda: state_dir.remake_subfolder(state_dir.workers),
            Part.STATES: lambda: state_dir.remake_subfolder(state_dir.states),
            Part.FRAMES: lambda: state_dir.remake_subfolder(state_dir.frames),
            Part.HELPERS: state_dir.write_helpers_file,
            Part.RELAY: self._register_relay,
            Part.SOCKET: channels.listen_anew,
            Part.JOURNAL: self._make_journal,
        }

    def tick(self, now: float) -> None:
        """Check the folder when it is time to. ``now``: s."""
        if now - self._checked_at < CHECK_PERIOD:
            return
        self._checked_at = now
        self._check([*Part], now)
        for record in self._records():
            record.follow()

    def check_now(self) -> None:
        """Check, in the middle of an event, what a new worker needs: the folder is gone.

        The journal has to wait for the end of the event.
        """
        self._check([each for each in Part if each is not Part.JOURNAL], time.monotonic())

    def _check(self, parts: Collection[Part], now: float) -> None:
        """Find which parts are missing, and make these anew."""
        missing = [each for each in parts if not self._is_in_place[each]()]
        if Part.LOCK not in missing:
            self._repair.lock_held()
        if missing:
            planned = [each for each in self._repair.plan(missing) if each in parts]
            self._make_anew(planned, describe_parts(missing), now)

    def _register_relay(self) -> None:
        make_way_for_file(self._state_dir.path / PID_FILE)
        self._output.register(self._state_dir.path)

    def _make_journal(self) -> None:
        for path in (self._state_dir.journal, self._state_dir.journal.with_suffix('.new')):
            make_way_for_file(path)
        self._outbox.journal.checkpoint(self._outbox.snapshot())

    def _make_anew(self, parts: list[Part], missing: str, now: float) -> None:
        path = self._state_dir.path
        try:
            for part in parts:
                self._make[part]()
        except AlreadyRunningError as error:
            if self._repair.lock_taken(now) and not self.lost:
                self.lost = f'{path}: {error}'
        except OSError as error:
            text = f'{path}: gone while running: {missing}; it cannot be made anew: {error}'
            self._log.error('folder', f'{text}; no worker can be started or adopted until it can')
        else:
            self._repair.lock_held()
            text = f'{path}: gone while running: {missing}; made anew'
            self._log.warning('folder made', str, text)
