# SPDX-License-Identifier: Apache-2.0
"""Restoring a stage's dispatcher from the state that a dead manager left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from worker_pipeline.core.stage_dispatcher import StageDispatcher
from worker_pipeline.protocol.answers import Answer
from worker_pipeline.recovery.checked_file import DamagedFileError
from worker_pipeline.recovery.records import replay
from worker_pipeline.recovery.recover import RecoveredStage
from worker_pipeline.recovery.saved_state import SavedState

RecoveredStages = Mapping[str, RecoveredStage]


def restore_stage(stage: StageDispatcher, recovered: RecoveredStage) -> None:
    """Bring a new dispatcher to where the earlier manager's stood; nothing is sent yet."""
    if recovered.snapshot is not None:
        stage.restore(recovered.snapshot)
    replay(stage, recovered.log_entries)
    if not recovered.is_complete:
        stage.ledger.skip_numbers()
    stage.set_policy(stage.policy)


def try_to_restore(stages: Mapping[str, StageDispatcher], recovered: RecoveredStages) -> None:
    """Restore dispatchers that are not used any more. Raises whatever cannot be restored.

    A checksum tells that a journal was written so, not that it can be restored: it may be of a
    version with an error.
    """
    for name, each in recovered.items():
        if name in stages:
            stage = stages[name]
            restore_stage(stage, each)
            stage.resume(each.payloads, 0.0)
            for worker in workers_that_died(stage, each):
                stage.worker_exited(worker, '', each.active_items.get(worker), 0.0)


def workers_that_died(stage: StageDispatcher, recovered: RecoveredStage) -> list[str]:
    """Return the workers that hold items and died while there was no manager."""
    return [worker for worker in stage.ledger.workers if worker not in recovered.live_workers]


def saved_answers(
    stage: StageDispatcher, worker: str, state: Path, warn: Callable[[str], object]
) -> Iterable[Answer]:
    """Yield the answers that a dead worker's saved state contains and the manager never got.

    An item in the state of a stage that remembers is done, whether or not the answer arrived: it
    must not be applied again.

    Args:
        stage: the stage's dispatcher.
        worker: the worker's slot.
        state: the file of its state.
        warn: called with a message if the file is damaged: then no answer is known.
    """
    try:
        saved = SavedState(state).read()
    except DamagedFileError as error:
        warn(f'{worker}: {error}; its unanswered items are processed again')
        saved = None
    for answer in saved.answers if saved else ():
        if stage.ledger.is_held(worker, answer.number):
            yield answer
