# SPDX-License-Identifier: Apache-2.0
"""Recovery after a crash of the manager: from its journal and from its workers."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs

from worker_pipeline.recovery import journal
from worker_pipeline.recovery.left_behind import LeftBehind
from worker_pipeline.recovery.liveness import LivenessRecord
from worker_pipeline.recovery.records import FLOW_RECORDS, OUTPUT_RECORDS, StageSnapshot
from worker_pipeline.recovery.set_aside import set_aside
from worker_pipeline.recovery.state_dir import PipelineStateDir, remove_liveness_record
from worker_pipeline.system.process_table import worker_mark

# How long a worker may take to write its identity again, s; it does so each heartbeat.
IDENTITY_TIMEOUT = 0.5

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
    outputs_lost: int = 0  # to these subscribers
    retained_frames: dict[str, list[bytes]] = attrs.field(factory=dict)  # references by slot
    is_complete: bool = True  # whether no change of the stage is missing


def recover(
    state_dir: PipelineStateDir, warn: Callable[[str], None], *, journal_kept: bool
) -> dict[str, RecoveredStage] | None:
    """Return the recovered state by stage; None where there is nothing to recover.

    Live workers that no readable journal accounts for are killed: which items they have processed
    is unknown. What dead workers have left behind is ended.

    Args:
        state_dir: The pipeline's folder; its run becomes the recovered one.
        warn: Called with a message where processes had to be ended, or something is damaged.
        journal_kept: Whether the journal contains the items, so that it is of use without workers.
    """
    for each in state_dir.obstacles:
        warn(each)
    records = state_dir.liveness_records(warn)
    _await_identities([each for found in records.values() for each in found], warn)
    left_behind = LeftBehind(_names(records), warn)
    # While there are their records, which the next manager needs if this one is killed now.
    left_behind.end()
    stages = _recover(state_dir, records, warn, journal_kept=journal_kept)
    left_behind.end()  # of those that were killed here
    return stages


def _await_identities(records: list[LivenessRecord], warn: Callable[[str], None]) -> None:
    """Wait for live workers to write who they are into records that were zeroed.

    They do so with each heartbeat. A live worker that is not known would be replaced beside itself.
    """
    deadline = time.monotonic() + IDENTITY_TIMEOUT
    while zeroed := [each for each in records if not each.read().run_id]:
        if time.monotonic() > deadline:
            for each in zeroed:
                warn(f'{each.path}: is zeroed, and no live worker writes it; ignored')
            return
        time.sleep(0.01)


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
    found_journal = _read(state_dir, warn)
    workers = [record for each in records.values() for record in each]
    if found_journal is None:
        _give_up(state_dir, workers, warn)
        return None
    recovered, stages = found_journal
    if not journal_kept and not any(
        record.alive() or state_dir.orphan_snapshot(record, warn).items for record in workers
    ):
        state_dir.clear()  # left by a run that ended long ago
        return None
    if recovered.damage:
        kept = set_aside(state_dir.journal, copy=True)
        warn(
            f'{state_dir.journal}: {recovered.damage}; using its checkpoint and the '
            f'{len(recovered.entries)} entries after it; {kept}'
            + ('' if recovered.is_complete else '; later items and answers may be lost or repeated')
        )
    state_dir.run_id = recovered.run_id
    for (name, slot), found in records.items():
        stage = stages.setdefault(name, RecoveredStage())
        _sort_workers(state_dir, stage, slot, found, warn)
    for stage in stages.values():
        stage.is_complete = recovered.is_complete
    return stages


def _read(
    state_dir: PipelineStateDir, warn: Callable[[str], None]
) -> tuple[journal.Recovered, dict[str, RecoveredStage]] | None:
    """Return the content of the journal, also by stage; None if there is none that can be used."""
    try:
        recovered = journal.read(state_dir.journal)
        return None if recovered is None else (recovered, _read_journal(recovered))
    except journal.UnreadableJournalError as error:
        kept = set_aside(state_dir.journal)
        warn(f'{state_dir.journal}: unusable: {error}; {kept}; starting without it')
        return None


def _give_up(
    state_dir: PipelineStateDir, workers: Iterable[LivenessRecord], warn: Callable[[str], None]
) -> None:
    """Start from nothing: kill the live workers, whose items are unknown, and clear the folder.

    Args:
        state_dir: The pipeline's folder.
        workers: The liveness records of an earlier manager.
        warn: Called with a message where workers were killed.
    """
    unknown = [record for record in workers if record.alive()]
    for record in unknown:
        kill_worker(record)
    if unknown:
        warn(f'killed {len(unknown)} workers of an earlier manager: its journal is unreadable')
    state_dir.clear()


def discard(
    state_dir: PipelineStateDir,
    recovered: Mapping[str, RecoveredStage],
    error: Exception,
    warn: Callable[[str], None],
) -> None:
    """Start from nothing, as what was recovered cannot be restored: it would fail for ever.

    Args:
        state_dir: The pipeline's folder.
        recovered: What was read from it.
        error: Why it cannot be restored.
        warn: Called with messages.
    """
    kept = set_aside(state_dir.journal)
    warn(
        f'{state_dir.journal}: cannot be restored: {type(error).__name__}: {error}; {kept}; '
        'starting without it'
    )
    live = [record for each in recovered.values() for record in each.live_workers.values()]
    _give_up(state_dir, live, warn)


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
    """Return the content of a journal by stage.

    Raises UnreadableJournalError if its structure is another one, though its checksums are right.
    """
    try:
        return _by_stage(recovered)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise journal.UnreadableJournalError(
            f'an entry has another structure: {type(error).__name__}: {error}'
        ) from error


def _by_stage(recovered: journal.Recovered) -> dict[str, RecoveredStage]:
    stages: dict[str, RecoveredStage] = {}
    for name, snapshot in recovered.snapshot.items():
        stages[name] = RecoveredStage(
            snapshot=snapshot,
            subscribers=snapshot['subscribers'],
            unacked_outputs=list(snapshot['unacked_outputs']),
            outputs_lost=snapshot.get('outputs_lost', 0),
            retained_frames=dict(snapshot['retained_frames']),
        )
    for entry in recovered.entries:
        for name, kind, fields in entry:
            stage = stages.setdefault(name, RecoveredStage())
            if kind in FLOW_RECORDS:
                FLOW_RECORDS[kind](*fields)  # raises here, not in the middle of the restoration
                stage.log_entries.append((kind, fields))
            else:
                OUTPUT_RECORDS[kind](*fields).apply(stage)
    return stages


def _sort_workers(
    state_dir: PipelineStateDir,
    stage: RecoveredStage,
    slot: str,
    found: list[LivenessRecord],
    warn: Callable[[str], None],
) -> None:
    """Sort a slot's workers into live and dead ones. Of several live ones the newest is kept.

    Args:
        state_dir: The pipeline's folder.
        stage: The stage, which gets them.
        slot: The slot.
        found: The liveness records of its workers.
        warn: Called with a message where something is damaged.
    """
    for record in found:
        seen = record.read()
        if seen.run_id != state_dir.run_id:  # its item numbers are those of another run
            kill_worker(record)
            remove_liveness_record(record)
            continue
        saved = state_dir.orphan_snapshot(record, warn)
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
