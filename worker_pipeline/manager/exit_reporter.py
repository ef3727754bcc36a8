# SPDX-License-Identifier: Apache-2.0
"""Reports the exits of a stage's workers, with what they printed at their end."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

from worker_pipeline.manager.worker_facts import WorkerExited
from worker_pipeline.output.output_relay import LAST_LINES_TIMEOUT, OutputRelay

MAX_LINE = 600  # characters of a worker's last lines in the cause of a quarantine


class _Report(NamedTuple):
    slot: str
    reason: str
    requeued: str
    request: int  # for the last lines
    words: list[str]  # the last lines, if they are known
    until: float  # how long to wait for them, s


class ExitReporter:
    """Logs exits, and adds a dead worker's last lines to the cause of a quarantine.

    Only for a quarantine it waits for the relay, which has these lines: items come first.

    Args:
        output: Has the last lines.
        logger: Of the stage's node.
    """

    def __init__(self, output: OutputRelay, logger: Any) -> None:
        self._output = output
        self._logger = logger
        self._fact: WorkerExited | None = None
        self._held = 0
        self._words: list[str] | None = None
        self._pending: deque[_Report] = deque()

    def begin(self, fact: WorkerExited, held: int) -> None:
        """Begin the handling of an exit. ``held``: how many items the worker had not answered."""
        self._fact, self._held, self._words = fact, held, None

    def explain(self, cause: str) -> str:
        """Return the cause of a quarantine, with the last lines if it is the exit being handled."""
        if self._fact is None or cause != self._fact.reason:
            return cause
        if self._words is None:
            self._words = self._output.await_answer(self._ask(self._fact))
        lines = ' | '.join(line.strip() for line in self._words)
        return f'{cause}; it printed last: {lines[:MAX_LINE]}' if lines else cause

    def end(self, now: float) -> None:
        """Log the exit, if the worker should have lived on, when its last lines are known.

        ``now``: s.
        """
        fact, self._fact = self._fact, None
        if fact is None:
            return
        if fact.was_wanted:
            items = '1 item' if self._held == 1 else f'{self._held} items'
            requeued = f'requeued its {items}' if self._held else 'it held no items'
            request = self._ask(fact) if self._words is None else 0
            until = now + LAST_LINES_TIMEOUT
            report = _Report(fact.slot, fact.reason, requeued, request, self._words or [], until)
            self._pending.append(report)
            self.tick(now)
        elif fact.record is not None:
            self._output.ended(fact.record.path)

    def tick(self, now: float) -> None:
        """Log the exits whose last lines are known, or late. ``now``: s."""
        while self._pending:
            report = self._pending[0]
            words = report.words or self._output.answer(report.request)
            if words is None and now < report.until:
                return
            self._pending.popleft()
            lines = ''.join(f'\n  {line}' for line in words or [])
            last = f'; it printed last:{lines}' if lines else ''
            self._logger.warning(f'{report.slot} exited: {report.reason}; {report.requeued}{last}')

    def _ask(self, fact: WorkerExited) -> int:
        """Ask for the last lines, unless the worker itself has recorded the reason."""
        if fact.record is None:
            return 0
        if fact.record.exit_reason():
            self._output.ended(fact.record.path)
            return 0
        return self._output.ask_last_words(fact.record.path)
