# SPDX-License-Identifier: Apache-2.0
"""The keys: one line is selected, and each key is a command for its node.

No ROS in here, and no clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from worker_pipeline.monitor.commands import (
    Command,
    CommandResult,
    ScaleCommand,
    TransitionCommand,
    TriggerCommand,
)
from worker_pipeline.monitor.model import Manager, Stage, Worker

NOTICE_DURATION = 15.0  # s
# s; a later response may be lost, so from then on the diagnostics confirm the command.
RESPONSE_IS_LATE = 2.0
# s; diagnostics may be this old, and not show a change yet.
DIAGNOSTICS_LAG = 2.5
PAGE, ALL = 10, 1_000_000
STEPS = {'up': -1, 'k': -1, 'page up': -PAGE, 'home': -ALL}
STEPS |= {'down': 1, 'j': 1, 'page down': PAGE, 'end': ALL}


@attrs.frozen
class Row:
    """A line that can be selected: a manager, a stage or a worker."""

    key: str
    manager: Manager
    stage: Stage | None = None
    worker: Worker | None = None

    @property
    def node(self) -> str:
        """Return the full name of its node."""
        return (self.worker or self.stage or self.manager).node


def rows_of(managers: Sequence[Manager]) -> list[Row]:
    """Return all lines that can be selected, from top to bottom."""
    rows = []
    for manager in managers:
        rows.append(Row(manager.key, manager))
        for stage in manager.stages:
            rows.append(Row(stage.node, manager, stage))
            rows += [Row(worker.node, manager, stage, worker) for worker in stage.workers]
    return rows


@attrs.frozen
class Question:
    """A confirmation that is required before ``commands`` are sent."""

    text: str
    commands: tuple[Command, ...]


@attrs.frozen
class Notice:
    """A message in the footer. ``at``: when it appeared, s."""

    text: str
    is_error: bool
    at: float


class Controls:
    """The state of the user interface: keys go in, commands come out."""

    def __init__(self) -> None:
        self.shows_help = False
        self.ended = False
        self.question: Question | None = None
        self.pending: dict[Command, float] = {}  # since when, s
        self._notice: Notice | None = None
        self._selected = ''
        self._index = 0  # of the selected line, in case its node disappears
        self._requested_counts: dict[str, tuple[int, float]] = {}  # by stage, and when, s

    def notice(self, now: float) -> Notice | None:
        """Return the last message, unless it is too old."""
        return self._notice if self._notice and now - self._notice.at < NOTICE_DURATION else None

    def selected(self, rows: Sequence[Row]) -> int:
        """Return the index of the selected row; if its node is gone, of the row in its place."""
        for index, row in enumerate(rows):
            if row.key == self._selected:
                return index
        return max(0, min(self._index, len(rows) - 1))

    def press(self, key: str, managers: Sequence[Manager], now: float) -> list[Command]:
        """Handle a key, and return the commands to send.

        Args:
            key: The key.
            managers: The managers shown.
            now: The time, s.
        """
        if key in ('q', 'interrupt'):
            self.ended = True
        elif self.question:
            return self._confirm_question(key, now)
        elif self.shows_help:
            self.shows_help = False
        elif key == '?':
            self.shows_help = True
        else:
            rows = rows_of(managers)
            if not self._move(key, rows) and key in ACTIONS:
                return self._act(key, rows, now)
        return []

    def _move(self, key: str, rows: Sequence[Row]) -> bool:
        if key not in STEPS:
            return False
        if rows:
            self._index = max(0, min(self.selected(rows) + STEPS[key], len(rows) - 1))
            self._selected = rows[self._index].key
        return True

    def _confirm_question(self, key: str, now: float) -> list[Command]:
        assert self.question is not None
        commands, self.question = self.question.commands, None
        if key == 'y':
            return self._send(commands, now)
        self._notify('not done', now, is_error=False)
        return []

    def _act(self, key: str, rows: Sequence[Row], now: float) -> list[Command]:
        if not rows:
            self._notify('no manager was found yet', now)
            return []
        row = rows[self.selected(rows)]
        self._selected, self._index = row.key, self.selected(rows)
        proposal = ACTIONS[key](self, row, now)
        if isinstance(proposal, Question):
            self.question = proposal
            return []
        if isinstance(proposal, str):
            self._notify(proposal, now)
            return []
        return self._send(proposal, now)

    def available(self, managers: Sequence[Manager], now: float) -> list[Command]:
        """Return the commands of all keys for the selected line."""
        rows = rows_of(managers)
        if not rows:
            return []
        row = rows[self.selected(rows)]
        commands: list[Command] = []
        for action in ACTIONS.values():
            proposal = action(self, row, now)
            if isinstance(proposal, Question):
                commands += proposal.commands
            elif not isinstance(proposal, str):
                commands += proposal
        return commands

    def _send(self, commands: Sequence[Command], now: float) -> list[Command]:
        new = [command for command in commands if command not in self.pending]
        for command in new:
            self.pending[command] = now
            if isinstance(command, ScaleCommand):
                self._requested_counts[command.stage] = (command.count, now)
        return new

    # -- results ---------------------------------------------------------------------------------

    def finish(self, result: CommandResult, now: float) -> None:
        """Handle the result of a command."""
        self.pending.pop(result.command, None)
        command = result.command
        if isinstance(command, ScaleCommand) and not result.done:
            self._requested_counts.pop(command.stage, None)
        self._notify(f'{command.description}: {result.text}', now, is_error=not result.done)

    def confirm(self, managers: Sequence[Manager], now: float) -> list[Command]:
        """Finish the commands with a late response that the diagnostics confirm; return them."""
        states, counts = {}, {}
        for row in rows_of(managers):
            states[row.node] = (row.worker or row.stage or row.manager).state
            if row.stage is not None:
                counts[row.stage.node] = row.stage.configured_workers
        done: list[Command] = [
            command
            for command, since in self.pending.items()
            if now - since > RESPONSE_IS_LATE
            and (
                (
                    isinstance(command, TransitionCommand)
                    and states.get(command.node) == command.target_state
                )
                or (
                    isinstance(command, ScaleCommand) and counts.get(command.stage) == command.count
                )
            )
        ]
        for command in done:
            self.finish(CommandResult(command, True, 'done'), now)
        return done

    def _notify(self, text: str, now: float, *, is_error: bool = True) -> None:
        self._notice = Notice(text, is_error, now)

    # -- actions: each returns commands, a question, or why it is not possible -------------------

    def _pause(self, row: Row, _: float) -> Proposal:
        if row.worker:
            return 'p pauses a stage or the pipeline; c cordons a worker'
        if row.stage:
            return [_change('pause', row.stage.node, 'deactivate')]
        commands = (_change('pause', row.manager.node, 'deactivate'),)
        return Question(f'pause the whole pipeline of {row.manager.node}?', commands)

    def _resume(self, row: Row, _: float) -> Proposal:
        if row.worker:
            return 'r resumes a stage or the pipeline; c uncordons a worker'
        if row.stage:
            return [_change('resume', row.stage.node, 'activate')]
        if row.manager.state != 'active':
            return [_change('resume', row.manager.node, 'activate')]
        # The stages that were paused one by one.
        paused = [each.node for each in row.manager.stages if each.state == 'inactive']
        return [_change('resume', node, 'activate') for node in paused] or 'nothing is paused'

    def _cordon(self, row: Row, _: float) -> Proposal:
        stage, worker = row.stage, row.worker
        if stage is None or worker is None:
            return 'c cordons or uncordons a worker: select one'
        name = _short(worker.node, 2)
        if stage.state != 'active':
            return f'{name}: its stage is {stage.state}'
        if worker.state == 'inactive':
            return [_change('uncordon', worker.node, 'activate', 2)]
        if worker.state != 'active':
            return f'{name} is {worker.state}; only an active worker can be cordoned'
        command = _change('cordon', worker.node, 'deactivate', 2)
        if sum(each.state == 'active' for each in stage.workers) == 1:
            text = f'cordon {name}? It is the only active worker; its stage stops without it'
            return Question(text, (command,))
        return [command]

    def _more(self, row: Row, now: float) -> Proposal:
        return self._scale(row, now, 1)

    def _fewer(self, row: Row, now: float) -> Proposal:
        return self._scale(row, now, -1)

    def _scale(self, row: Row, now: float, step: int) -> Proposal:
        stage = row.stage
        if stage is None or row.worker:
            return "+ and - change the number of a stage's workers: select one"
        count, at = self._requested_counts.get(stage.node, (0, float('-inf')))
        if now - at > DIAGNOSTICS_LAG:
            if stage.configured_workers is None:
                return f'{stage.node} does not report its number of workers'
            count = stage.configured_workers
        count += step
        name = _short(stage.node)
        return [
            ScaleCommand(
                f'{name} to {count} {"worker" if count == 1 else "workers"}',
                f'{row.manager.node}/set_parameters',
                stage=stage.node,
                parameter=f'{name}.workers',
                count=count,
            )
        ]

    def _flush(self, row: Row, _: float) -> Proposal:
        if row.stage is None or row.worker:
            return "f drops the items in a stage's queue: select one"
        return [TriggerCommand(f'flush {_short(row.node)}', f'{row.node}/flush')]

    def _drain(self, row: Row, _: float) -> Proposal:
        if row.worker:
            return 'd drains a stage or the pipeline: select one'
        return [TriggerCommand(f'drain {_short(row.node)}', f'{row.node}/drain', DRAIN_TIMEOUT)]


Proposal = Sequence[Command] | Question | str
# s; a drain takes as long as the items in the stage.
DRAIN_TIMEOUT = 600.0
ACTIONS: dict[str, Callable[[Controls, Row, float], Proposal]] = {
    'p': Controls._pause,
    'r': Controls._resume,
    'c': Controls._cordon,
    '+': Controls._more,
    '=': Controls._more,  # the same key without shift
    '-': Controls._fewer,
    'f': Controls._flush,
    'd': Controls._drain,
}


def _short(node: str, parts: int = 1) -> str:
    return '/'.join(node.split('/')[-parts:])


def _change(what: str, node: str, label: str, parts: int = 1) -> TransitionCommand:
    return TransitionCommand(
        f'{what} {_short(node, parts)}', f'{node}/change_state', node=node, label=label
    )
