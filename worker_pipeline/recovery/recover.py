# SPDX-License-Identifier: Apache-2.0
"""Recovery after a crash of the manager: from its journal and from its workers."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable
from typing import Any

import attrs

from worker_pipeline.recovery import journal
from worker_pipeline.recovery.left_behind import LeftBehind
from worker_pipeline.recovery.liveness import LivenessRecord
from worker_pipeline.recovery.records import FLOW_RECORDS, OUTPUT_RECORDS, StageSnapshot
from worker_pipeline.recovery.state_dir import PipelineStateDir, remove_liveness_record
from worker_pipeline.system.process_table import worker_mark

_Records = dict[tuple[str, str], list[LivenessRecord]]  # by stage and slot


@attrs.define
class RecoveredStage:
    """The recovered state of one stage."""

    snapshot: StageSnapshot | None = None  # of the last checkpoint; None: the stage was not in it
    # The flow records since the checkpoint, as (kind, fields).
    log_entries: list[tuple[str, tuple[Any, ...]]] = attrs.field(factory=list)
    live_workers: dict[str, LivenessRecord] = attrs.field(factory=dict)  # by slot
    # By slot of each dead worker: the number of the item that it was processing; 0: none.
    active_items: dict[str, int] = attrs.field(factory=dict)
    dead_pids: dict[str, int] = attrs.field(factory=dict)  # by slot of each dead worker
    payloads: dict[int, bytes] = attrs.field(factory=dict)  # saved by workers, by item number
    subscribers: int = 0  # external subscribers to the stage's output
    unacked_outputs: list[bytes] = attrs.field(factory=list)
    retained_frames: dict[str, list[bytes]] = attrs.field(factory=dict)  # references by slot


def recover(
    state_dir: PipelineStateDir, warn: Callable[[str], None], *, journal_kept: bool
) -> dict[str, RecoveredStage] | None:
    """Return the recovered state by stage; None where there is nothing to recover.

    Live workers that no readable journal accounts for are killed: which items they have processed
    is unknown. What dead workers have left behind is ended.

    Args:
        state_dir: The pipeline's folder; its run becomes the recovered one.
        warn: Called with a message where processes had to be ended.
        journal_kept: Whether the journal contains the items, so that it is of use without workers.
    """
    records = state_dir.liveness_records()
    left_behind = LeftBehind(_names(records), warn)
    # While there are their records, which the next manager needs if this one is killed now.
    left_behind.end()
    stages = _recover(state_dir, records, warn, journal_kept=journal_kept)
    left_behind.end()  # of those that were killed here
    return stages


def _names(records: _Records) -> dict[str, str]:
    """Return the names of the workers that have registered, by their marks."""
    return {
        worker_mark(seen.pid, seen.process_start): f'{stage}/{slot}'
        for (stage, slot), found in records.items()
        for seen in (record.read() for record in found)
        if seen.pid and seen.process_start
    }


def _recover(
    state_dir: PipelineStateDir,
    records: _Records,
    warn: Callable[[str], None],
    *,
    journal_kept: bool,
) -> dict[str, RecoveredStage] | None:
    recovered = journal.read(state_dir.journal)
    workers = [record for each in records.values() for record in each]
    if recovered is None:
        unknown = [record for record in workers if record.alive()]
        for record in unknown:
            kill_worker(record)
        if unknown:
            warn(f'killed {len(unknown)} workers of an earlier manager: its journal is unreadable')
        state_dir.clear()
        return None
    if not journal_kept and not any(
        record.alive() or state_dir.orphan_snapshot(record).items for record in workers
    ):
        state_dir.clear()  # left by a run that ended long ago
        return None
    state_dir.run_id = recovered.run_id
    stages = _read_journal(recovered)
    for (name, slot), found in records.items():
        stage = stages.setdefault(name, RecoveredStage())
        _sort_workers(state_dir, stage, slot, found)
    return stages


def kill_worker(record: LivenessRecord) -> None:
    """Kill a worker and wait until it has exited."""
    if not record.alive():
        return  # or it never registered
    try:
        pidfd = os.pidfd_open(record.read().pid)
    except ProcessLookupError:
        return
    try:
        if record.alive():  # still, so the pid was not reused before the pidfd was opened
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            _wait(pidfd)
    except ProcessLookupError:
        pass
    finally:
        os.close(pidfd)


def _wait(pidfd: int, timeout: float = 5.0) -> None:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    poll.poll(timeout * 1e3)


def _read_journal(recovered: journal.Recovered) -> dict[str, RecoveredStage]:
    stages: dict[str, RecoveredStage] = {}
    for name, snapshot in recovered.snapshot.items():
        stages[name] = RecoveredStage(
            snapshot=snapshot,
            subscribers=snapshot['subscribers'],
            unacked_outputs=list(snapshot['unacked_outputs']),
            retained_frames=dict(snapshot['retained_frames']),
        )
    for entry in recovered.entries:
        for name, kind, fields in entry:
            stage = stages.setdefault(name, RecoveredStage())
            if kind in FLOW_RECORDS:
                stage.log_entries.append((kind, fields))
            else:
                OUTPUT_RECORDS[kind](*fields).apply(stage)
    return stages


def _sort_workers(
    state_dir: PipelineStateDir, stage: RecoveredStage, slot: str, found: list[LivenessRecord]
) -> None:
    """Sort a slot's workers into live and dead ones. Of several live ones the newest is kept."""
    for record in found:
        seen = record.read()
        if seen.run_id != state_dir.run_id:  # its item numbers are those of another run
            kill_worker(record)
            remove_liveness_record(record)
            continue
        saved = state_dir.orphan_snapshot(record)
        stage.payloads.update(saved.items)
        if not record.alive():
            if slot not in stage.live_workers:
                stage.active_items.setdefault(slot, seen.active_item)
                stage.dead_pids.setdefault(slot, seen.pid)
            remove_liveness_record(record)
        elif slot in stage.live_workers:
            kill_worker(record)
            remove_liveness_record(record)
        else:
            stage.live_workers[slot] = record
            if saved.retained_frames is not None:
                stage.retained_frames[slot] = saved.retained_frames  # newer than in the journal
