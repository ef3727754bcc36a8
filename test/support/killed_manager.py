# SPDX-License-Identifier: Apache-2.0
"""What a killed manager has left for the next one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.child_processes import sleeper
from worker_pipeline.recovery import state_dir as state_dir_module
from worker_pipeline.recovery.journal import Journal
from worker_pipeline.recovery.liveness import LivenessRecord
from worker_pipeline.recovery.recover import RecoveredStage, recover
from worker_pipeline.recovery.state_dir import (
    OrphanSnapshot,
    PipelineStateDir,
    save_orphan_snapshot,
)
from worker_pipeline.system.proc import start_of

SNAPSHOT = {
    'ledger': {},
    'source': {},
    'routes': [],
    'retained_frames': {},
    'subscribers': 0,
    'unacked_outputs': [],
}
PID, PROCESS_START = 2, 3  # fields of a liveness record


class KilledManager:
    """The folder that a killed manager has left, and its workers."""

    def __init__(self) -> None:
        self.state_dir = PipelineStateDir('/airside', 0)
        self._stack = contextlib.ExitStack()
        self.run_id = self.state_dir.run_id
        self.warnings: list[str] = []

    def write_journal(self, snapshot: dict[str, Any], *entries: list[tuple[str, Any]]) -> None:
        """Write a checkpoint, and entries of (stage, record)."""
        journal = Journal(self.state_dir.journal, self.run_id, payloads=True)
        journal.checkpoint(snapshot)
        for entry in entries:
            for stage, record in entry:
                journal.append(stage, record)
            journal.commit()
        journal.close()

    def add_record(
        self, stage: str, slot: str, active_item: int = 0, saved: Any = None
    ) -> LivenessRecord:
        """Add the record of a worker that has never registered."""
        record = self.state_dir.new_liveness_record(stage, slot, config_hash=7)
        if active_item:
            record.start_item(active_item)
        if saved is not None:
            save_orphan_snapshot(record, OrphanSnapshot(saved, [b'a frame']))
        return record

    def add_dead(self, stage: str, slot: str, active_item: int = 0, saved: Any = None) -> int:
        """Add a worker whose process has exited. Returns its pid."""
        record = self.add_record(stage, slot, active_item, saved)
        with sleeper() as process:
            _register(record, process.pid)
        return process.pid

    def add_live(self, stage: str, slot: str, active_item: int = 0, saved: Any = None) -> Any:
        """Add a worker with a live process. Returns the process."""
        record = self.add_record(stage, slot, active_item, saved)
        process = self._stack.enter_context(sleeper())
        _register(record, process.pid)
        return process

    def recover(self, *, journal_kept: bool = True) -> dict[str, RecoveredStage] | None:
        """Recover as the next manager."""
        self.state_dir.close(remove=False)
        self.state_dir = PipelineStateDir('/airside', 0)
        return recover(self.state_dir, self.warnings.append, journal_kept=journal_kept)

    @property
    def files(self) -> list[str]:
        return sorted(
            str(path.relative_to(self.state_dir.path))
            for path in self.state_dir.path.rglob('*')
            if path.is_file() and path != self.state_dir.lock_file
        )

    def close(self) -> None:
        self._stack.close()
        self.state_dir.close(remove=True)


def _register(record: LivenessRecord, pid: int) -> None:
    """Write a process into a record, as the worker does."""
    record._fields[PID], record._fields[PROCESS_START] = pid, start_of(pid) or 0


@pytest.fixture
def killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KilledManager]:
    """What a killed manager has left, in a folder that stands in for the shared memory."""
    for variable in ('RUNTIME_DIRECTORY', 'XDG_RUNTIME_DIR'):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(state_dir_module, 'SHARED_MEMORY', tmp_path)
    found = KilledManager()
    yield found
    found.close()
