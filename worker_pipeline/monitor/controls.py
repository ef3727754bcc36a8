"""What the keys do: one of the lines is selected, and what is asked concerns that one.

No ROS in here, and no clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from worker_pipeline.monitor.commands import ChangeState, Command, Outcome, SetWorkers, Trigger
from worker_pipeline.monitor.model import Manager, Stage, Worker

NEWS_LASTS = 15.0  # s
# From then on, s, what the diagnostics show counts for an answer: those of a service may be lost.
ANSWER_IS_LATE = 2.0
# Diagnostics may be that old, s, and not show yet what was set.
NOT_SHOWN_YET = 2.5
PAGE, ALL = 10, 1_000_000
STEPS = {'up': -1, 'k': -1, 'page up': -PAGE, 'home': -ALL}
STEPS |= {'down': 1, 'j': 1, 'page down': PAGE, 'end': ALL}


@attrs.frozen
class Row:
    """What can be selected: a manager, or a stage or worker of it."""

    key: str
    manager: Manager
    stage: Stage | None = None
    worker: Worker | None = None

    @property
    def node(self) -> str:
        """The node that it stands for."""
        return (self.worker or self.stage or self.manager).node


def rows_of(managers: Sequence[Manager]) -> list[Row]:
    """All that can be selected, in the order shown."""
    rows = []
    for manager in managers:
        rows.append(Row(manager.key, manager))
        for stage in manager.stages:
            rows.append(Row(stage.node, manager, stage))
            rows += [Row(worker.node, manager, stage, worker) for worker in stage.workers]
    return rows


@attrs.frozen
class Question:
    """Asked before something that stops the flight."""

    text: str
    commands: tuple[Command, ...]


@attrs.frozen
class News:
    """What is to be told, and since when."""

    text: str
    is_bad: bool
    at: float  # s


class Controls:
    """What is selected, asked and told. Keys go in, commands come out."""

    def __init__(self) -> None:
        self.shows_help = False
        self.ended = False
        self.question: Question | None = None
        self.pending: dict[Command, float] = {}  # since when, s
        self._news: News | None = None
        self._selected = ''
        self._place = 0  # where that stood, in case that it is gone
        self._asked: dict[str, tuple[int, float]] = {}  # workers of a stage, and when

    def news(self, now: float) -> News | None:
        """What was told last, unless that is long ago."""
        return self._news if self._news and now - self._news.at < NEWS_LASTS else None

    def selected(self, rows: Sequence[Row]) -> int:
        """Which row is selected; of one that is gone, the one that stands there now."""
        for index, row in enumerate(rows):
            if row.key == self._selected:
                return index
        return max(0, min(self._place, len(rows) - 1))

    def press(self, key: str, managers: Sequence[Manager], now: float) -> list[Command]:
        """A key was pressed; what is to be asked for that reason."""
        if key in ('q', 'interrupt'):
            self.ended = True
        elif self.question:
            return self._answer(key, now)
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
            self._place = max(0, min(self.selected(rows) + STEPS[key], len(rows) - 1))
            self._selected = rows[self._place].key
        return True

    def _answer(self, key: str, now: float) -> list[Command]:
        assert self.question is not None
        commands, self.question = self.question.commands, None
        if key == 'y':
            return self._ask(commands, now)
        self._tell('not done', now, bad=False)
        return []

    def _act(self, key: str, rows: Sequence[Row], now: float) -> list[Command]:
        if not rows:
            self._tell('nothing was heard of a manager yet', now)
            return []
        row = rows[self.selected(rows)]
        self._selected, self._place = row.key, self.selected(rows)
        asked = ACTIONS[key](self, row, now)
        if isinstance(asked, Question):
            self.question = asked
            return []
        if isinstance(asked, str):
            self._tell(asked, now)
            return []
        return self._ask(asked, now)

    def possible(self, managers: Sequence[Manager], now: float) -> list[Command]:
        """All that the keys could ask, as things stand."""
        rows = rows_of(managers)
        if not rows:
            return []
        row = rows[self.selected(rows)]
        commands: list[Command] = []
        for action in ACTIONS.values():
            asked = action(self, row, now)
            if isinstance(asked, Question):
                commands += asked.commands
            elif not isinstance(asked, str):
                commands += asked
        return commands

    def _ask(self, commands: Sequence[Command], now: float) -> list[Command]:
        new = [command for command in commands if command not in self.pending]
        for command in new:
            self.pending[command] = now
            if isinstance(command, SetWorkers):
                self._asked[command.stage] = (command.count, now)
        return new

    # -- what came of it -------------------------------------------------------------------------

    def settle(self, outcome: Outcome, now: float) -> None:
        """A command was answered, or was not in time."""
        self.pending.pop(outcome.command, None)
        command = outcome.command
        if isinstance(command, SetWorkers) and not outcome.done:
            self._asked.pop(command.stage, None)
        self._tell(f'{command.what}: {outcome.text}', now, bad=not outcome.done)

    def seen_done(self, managers: Sequence[Manager], now: float) -> list[Command]:
        """Commands whose answer is late, and that are done as the diagnostics show: settled."""
        states, counts = {}, {}
        for row in rows_of(managers):
            states[row.node] = (row.worker or row.stage or row.manager).state
            if row.stage is not None:
                counts[row.stage.node] = row.stage.wanted
        done: list[Command] = [
            command
            for command, since in self.pending.items()
            if now - since > ANSWER_IS_LATE
            and (
                (isinstance(command, ChangeState) and states.get(command.node) == command.goal)
                or (isinstance(command, SetWorkers) and counts.get(command.stage) == command.count)
            )
        ]
        for command in done:
            self.settle(Outcome(command, True, 'done'), now)
        return done

    def _tell(self, text: str, now: float, *, bad: bool = True) -> None:
        self._news = News(text, bad, now)

    # -- the actions: commands, a question, or why not -------------------------------------------

    def _pause(self, row: Row, _: float) -> Asked:
        if row.worker:
            return 'p pauses a stage or the pipeline; c takes a worker out'
        if row.stage:
            return [_change('pause', row.stage.node, 'deactivate')]
        commands = (_change('pause', row.manager.node, 'deactivate'),)
        return Question(f'pause the whole pipeline of {row.manager.node}?', commands)

    def _resume(self, row: Row, _: float) -> Asked:
        if row.worker:
            return 'r resumes a stage or the pipeline; c puts a worker back'
        if row.stage:
            return [_change('resume', row.stage.node, 'activate')]
        if row.manager.state != 'active':
            return [_change('resume', row.manager.node, 'activate')]
        # Those that were paused one by one.
        paused = [each.node for each in row.manager.stages if each.state == 'inactive']
        return [_change('resume', node, 'activate') for node in paused] or 'nothing is paused'

    def _cordon(self, row: Row, _: float) -> Asked:
        stage, worker = row.stage, row.worker
        if stage is None or worker is None:
            return 'c takes a worker out, or puts it back: select one'
        name = _short(worker.node, 2)
        if stage.state != 'active':
            return f'{name}: its stage is {stage.state}'
        if worker.state == 'inactive':
            return [_change('uncordon', worker.node, 'activate', 2)]
        if worker.state != 'active':
            return f'{name} is {worker.state}; only one that is active can be taken out'
        command = _change('cordon', worker.node, 'deactivate', 2)
        if sum(each.state == 'active' for each in stage.workers) == 1:
            text = f'cordon {name}? It is the only one at work, and its stage stops without it'
            return Question(text, (command,))
        return [command]

    def _more(self, row: Row, now: float) -> Asked:
        return self._scale(row, now, 1)

    def _fewer(self, row: Row, now: float) -> Asked:
        return self._scale(row, now, -1)

    def _scale(self, row: Row, now: float, step: int) -> Asked:
        stage = row.stage
        if stage is None or row.worker:
            return "+ and - change the number of a stage's workers: select one"
        count, at = self._asked.get(stage.node, (0, float('-inf')))
        if now - at > NOT_SHOWN_YET:
            if stage.wanted is None:
                return f'{stage.node} does not say how many workers it has'
            count = stage.wanted
        count += step
        name = _short(stage.node)
        return [
            SetWorkers(
                f'{name} to {count} {"worker" if count == 1 else "workers"}',
                f'{row.manager.node}/set_parameters',
                stage=stage.node,
                parameter=f'{name}.workers',
                count=count,
            )
        ]

    def _flush(self, row: Row, _: float) -> Asked:
        if row.stage is None or row.worker:
            return "f drops what waits in a stage's queue: select one"
        return [Trigger(f'flush {_short(row.node)}', f'{row.node}/flush')]

    def _drain(self, row: Row, _: float) -> Asked:
        if row.worker:
            return 'd drains a stage or the pipeline: select one'
        return [Trigger(f'drain {_short(row.node)}', f'{row.node}/drain', DRAIN_TIME)]


Asked = Sequence[Command] | Question | str
# A drain may take as long as all that is there.
DRAIN_TIME = 600.0  # s
ACTIONS: dict[str, Callable[[Controls, Row, float], Asked]] = {
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


def _change(what: str, node: str, label: str, parts: int = 1) -> ChangeState:
    return ChangeState(
        f'{what} {_short(node, parts)}', f'{node}/change_state', node=node, label=label
    )
