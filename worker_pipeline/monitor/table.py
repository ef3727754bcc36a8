"""The lines of the view: one for a manager, and below it one for each stage and each worker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs
from rich.text import Text

from worker_pipeline.monitor import columns
from worker_pipeline.monitor.columns import GAP, Cell, Column, duration
from worker_pipeline.monitor.controls import Row
from worker_pipeline.monitor.model import Level
from worker_pipeline.monitor.signs import MARKS, STYLES, Signs

POINTER = 2  # the width of what points at the selected line
STATE = 11  # of most states, with their mark
LEAST_NAME = 9  # the least width of names; the greatest is a quarter of the screen's
INDENT = 2  # of workers, and of what is wrong with them
MESSAGE = 36  # less room than that, and a message has a line of its own


@attrs.frozen
class Table:
    """Headings and lines. How wide everything is depends on the names and on the screen."""

    width: int
    name: int
    columns: Sequence[Column]
    bar: int  # the width of the bars of queues; 0 without
    message: int  # what is left for messages; 0: they have lines of their own
    signs: Signs

    @classmethod
    def of(cls, rows: Sequence[Row], width: int, signs: Signs) -> Table:
        """For these rows."""
        longest = max((len(_name(row, rows)) for row in rows), default=0)
        name = max(LEAST_NAME, min(longest, width // 4))
        left = width - POINTER - name - GAP - STATE
        fitting = columns.fitting(left)
        left -= sum(GAP + each.width for each in fitting)
        bar = columns.BAR if left >= GAP + columns.BAR + GAP + MESSAGE else 0
        left -= bar and bar + GAP
        message = left - GAP if left >= GAP + MESSAGE else 0
        return cls(width, name, fitting, bar, message, signs)

    def headings(self) -> list[Text]:
        """Two lines: of what stands in the lines of stages, and in those of processes."""
        stage = self._line('', 'stage', Text('  state'), [each.of_stage for each in self.columns])
        process = self._line(
            '', ' ' * INDENT + 'process', Text(), [each.of_process for each in self.columns]
        )
        stage.stylize('bold')
        process.stylize('dim')
        return [stage, process]

    def body(self, rows: Sequence[Row], now: float, selected: int) -> Iterator[tuple[Text, int]]:
        """All lines, each with the index of its row; a message may have a line of its own."""
        for index, row in enumerate(rows):
            level, state, message = _condition(row, now)
            line = self._row(row, _name(row, rows), level, state, is_selected=index == selected)
            if message and self.message:
                line.append(' ' * GAP)
                line.append(message, STYLES[level])
            if row.manager.is_silent(now) or row.manager.has_ended(now):
                line.stylize('dim')
            if index == selected:
                line.pad_right(max(0, self.width - line.cell_len))
                line = Text(line.plain, 'reverse')
            yield line, index
            if message and not self.message and not _is_told_below(row):
                indent = ' ' * (POINTER + INDENT * (2 if row.worker else 1))
                yield Text.assemble(indent, (message, STYLES[level])), index

    def _row(self, row: Row, name: str, level: Level, state: str, *, is_selected: bool) -> Text:
        process = row.worker or (None if row.stage else row.manager)
        told = Text(f'{MARKS[level]} {state}', STYLES[level])
        cells: list[Cell] = []
        for column in self.columns:
            if process is not None:
                cells.append(column.process(process))
            elif row.stage is not None:
                cells.append(column.stage(row.stage))
        pointer = self.signs.pointer if is_selected else ''
        return self._line(pointer, name, told, cells, self._bar(row), is_bold=row.worker is None)

    def _bar(self, row: Row) -> Text:
        bar = Text()
        if row.stage is not None and row.worker is None:
            filled = columns.filled(row.stage)
            bar.append(self.signs.full * filled, columns.queue(row.stage).style)
            bar.append(self.signs.empty * (columns.BAR - filled), 'dim')
        return bar

    def _line(
        self,
        pointer: str,
        name: str,
        state: Text,
        cells: Sequence[Cell | str],
        bar: Text | None = None,
        *,
        is_bold: bool = False,
    ) -> Text:
        line = Text(pointer.ljust(POINTER))
        line.append_text(self._cell(Text(name, 'bold' if is_bold else ''), self.name))
        line.append(' ' * GAP)
        line.append_text(self._cell(state, STATE))
        if self.bar:
            line.append(' ' * GAP)
            line.append_text(self._cell(bar or Text(), self.bar))
        for column, each in zip(self.columns, cells, strict=True):
            cell = each if isinstance(each, Cell) else Cell(each)
            line.append(cell.text.rjust(column.width + GAP), cell.style)
        return line

    def _cell(self, text: Text, width: int) -> Text:
        if text.cell_len > width:
            text.right_crop(len(text) - max(0, width - 1))
            text.append(self.signs.dots)
        text.pad_right(width - text.cell_len)
        return text


def _name(row: Row, rows: Sequence[Row]) -> str:
    own = row.node.rpartition('/')[2]
    if row.worker:
        return ' ' * INDENT + own
    if row.stage is None and rows[-1].manager.key != rows[0].manager.key:
        return f'{own}@{row.manager.host}'
    return own


def _condition(row: Row, now: float) -> tuple[Level, str, str]:
    """How it is, in what state, and what is wrong with it, where something is."""
    node = row.worker or row.stage or row.manager
    manager = row.manager
    if node is manager and manager.is_silent(now):
        silence = f'nothing heard for {duration(manager.silence(now))}; this is how it was then'
        return Level.STALE, 'silent', silence
    message = '' if node.level is Level.OK else node.message
    if node is manager and any(stage.level is not Level.OK for stage in manager.stages):
        message = ''  # it is the sum of theirs
    return node.level, node.state, '' if message == node.state else message


def _is_told_below(row: Row) -> bool:
    """Whether the workers of a stage say more exactly what is wrong with it."""
    if row.stage is None or row.worker:
        return False
    return any(worker.level is not Level.OK for worker in row.stage.workers)
