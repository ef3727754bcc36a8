# SPDX-License-Identifier: Apache-2.0
"""The transactional outbox: effects of an event wait until its changes are in the journal."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from typing import Any

from worker_pipeline.recovery.journal import Journal
from worker_pipeline.recovery.records import StageSnapshot

Effect = tuple[Callable[..., None], tuple[Any, ...]]


class Outbox:
    """A context manager that turns everything done inside it into one event.

    Everything that may change a ledger enters it; a nested entry belongs to the outer event. At the
    end of an event its changes are committed to the journal in one write. Then come its effects:
    first the items for workers (``after_commit``), then follow-up events (``then``), and last the
    messages for external subscribers (``after_dispatch``).

    Args:
        journal: Where the changes of events are recorded.
        on_error: Called with the text of an error. Errors never stop the other effects.
    """

    def __init__(self, journal: Journal, on_error: Callable[[str], None]) -> None:
        self.journal = journal
        self._on_error = on_error
        self._depth = 0
        self._effects: list[Effect] = []
        self._follow_ups: dict[Callable[[], None], None] = {}  # ordered, without duplicates
        self._late_effects: list[Effect] = []
        self._flushing = False
        # Returns the state that the journal is compacted to.
        self.snapshot: Callable[[], Mapping[str, StageSnapshot]] = dict
        # Called at the end of an event, before it is committed: turns decisions into effects.
        self.collect: Callable[[], None] = lambda: None
        # Called after the effects that workers wait for.
        self.on_dispatched: Callable[[], None] = lambda: None
        # Called after all effects and follow-up events.
        self.on_settled: Callable[[], None] = lambda: None

    def __enter__(self) -> None:
        self._depth += 1

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if not self._depth:
            self.collect()
            self._flush()

    def after_commit(self, effect: Callable[..., None], *arguments: Any) -> None:
        """Schedule a call for when the event is committed."""
        self._effects.append((effect, arguments))

    def after_dispatch(self, effect: Callable[..., None], *arguments: Any) -> None:
        """Schedule a call for when workers have been sent everything they wait for."""
        self._late_effects.append((effect, arguments))

    def then(self, event: Callable[[], None]) -> None:
        """Schedule a follow-up event: a call that may itself change ledgers.

        It runs once, however often it is scheduled during this event.
        """
        self._follow_ups[event] = None

    def _flush(self) -> None:
        if self._flushing:
            self._commit_and_run()
            return  # a follow-up event: the outer call continues with the rest
        self._flushing = True
        try:
            # Without effects no one waits, so the follow-ups share this event's journal entry.
            if self._effects or not self._follow_ups:
                self._commit_and_run()
            if self._follow_ups:
                self._run_follow_ups()
            while self._late_effects:
                effects, self._late_effects = self._late_effects, []
                for effect, arguments in effects:
                    self._attempt(effect, arguments)
                if self._follow_ups:
                    self._run_follow_ups()
        finally:
            self._flushing = False
        self.on_settled()
        if self.journal.needs_compaction:
            self.checkpoint()

    def _run_follow_ups(self) -> None:
        """Run the follow-up events as one event."""
        with self:
            while self._follow_ups:
                event = next(iter(self._follow_ups))
                del self._follow_ups[event]
                self._attempt(event, ())

    def _commit_and_run(self) -> None:
        try:
            self.journal.commit()
        except OSError as error:
            self._report(error)
        if self._effects:
            effects, self._effects = self._effects, []
            for effect, arguments in effects:
                try:  # as in _attempt, whose call would cost more than it saves here
                    effect(*arguments)
                except Exception:
                    self._on_error(f'internal error:\n{traceback.format_exc()}')
            self.on_dispatched()

    def _attempt(self, effect: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        try:
            effect(*arguments)
        except Exception:  # the other effects still have to happen
            self._on_error(f'internal error:\n{traceback.format_exc()}')

    def checkpoint(self) -> None:
        """Compact the journal to a snapshot of the current state."""
        try:
            self.journal.checkpoint(self.snapshot())
        except OSError as error:
            self._report(error)

    def _report(self, error: OSError) -> None:
        # Not raised: the pipeline continues without its journal.
        self._on_error(f'the journal cannot be written: {error}; a crash now may lose items')
