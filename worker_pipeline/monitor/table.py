# SPDX-License-Identifier: Apache-2.0
"""The lines of the view: one for each manager, and below it one for each stage and worker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs
from rich.text import Text

from worker_pipeline.monitor import columns
from worker_pipeline.monitor.columns import GAP, Cell, Column, format_duration
from worker_pipeline.monitor.controls import Row
from worker_pipeline.monitor.glyphs import MARKS, STYLES, Glyphs
from worker_pipeline.monitor.model import Level

POINTER = 2  # the width of the pointer at the selected line
STATE = 11  # the width of most states with their marks
MIN_NAME = 9  # the least width of names; the greatest is a quarter of the screen
INDENT = 2  # of workers, and of their messages
MESSAGE = 36  # with less room than this a message gets a line of its own


@attrs.frozen
class Table:
    """The headings and lines, with widths that depend on the names and on the screen."""

    width: int
    name: int
    columns: Sequence[Column]
    bar: int  # the width of queues' bars; 0: no bars
    message: int  # the width left for messages; 0: they have lines of their own
    glyphs: Glyphs

    @classmethod
    def of(cls, rows: Sequence[Row], width: int, glyphs: Glyphs) -> Table:
        """Return a table for these rows on a screen of ``width`` columns.

        Args:
            rows: The rows, in order.
            width: Columns of the screen.
            glyphs: The characters to draw with.
        """
        longest = max((len(_name(row, rows)) for row in rows), default=0)
        name = max(MIN_NAME, min(longest, width // 4))
        left = width - POINTER - name - GAP - STATE
        fitting = columns.columns_for(left)
        left -= sum(GAP + each.width for each in fitting)
        bar = columns.BAR if left >= GAP + columns.BAR + GAP + MESSAGE else 0
        left -= bar and bar + GAP
        message = left - GAP if left >= GAP + MESSAGE else 0
        return cls(width, name, fitting, bar, message, glyphs)

    def headings(self) -> list[Text]:
        """Return two lines of headings: of stages, and of processes."""
        stage = self._line(
            '', 'stage', Text('  state'), [each.stage_heading for each in self.columns]
        )
        process = self._line(
            '', ' ' * INDENT + 'process', Text(), [each.process_heading for each in self.columns]
        )
        stage.stylize('bold')
        process.stylize('dim')
        return [stage, process]

    def body(self, rows: Sequence[Row], now: float, selected: int) -> Iterator[tuple[Text, int]]:
        """Yield all lines, each with the index of its row; messages may have lines of their own.

        Args:
            rows: The rows, in order.
            now: The time, s.
            selected: The index of the selected row.
        """
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
            if message and not self.message and not _is_explained_by_workers(row):
                indent = ' ' * (POINTER + INDENT * (2 if row.worker else 1))
                yield Text.assemble(indent, (message, STYLES[level])), index

    def _row(self, row: Row, name: str, level: Level, state: str, *, is_selected: bool) -> Text:
        process = row.worker or (None if row.stage else row.manager)
        marked = Text(f'{MARKS[level]} {state}', STYLES[level])
        cells: list[Cell] = []
        for column in self.columns:
            if process is not None:
                cells.append(column.process(process))
            elif row.stage is not None:
                cells.append(column.stage(row.stage))
        pointer = self.glyphs.pointer if is_selected else ''
        return self._line(pointer, name, marked, cells, self._bar(row), is_bold=row.worker is None)

    def _bar(self, row: Row) -> Text:
        bar = Text()
        if row.stage is not None and row.worker is None:
            filled = columns.bar_length(row.stage)
            bar.append(self.glyphs.full * filled, columns.format_queue(row.stage).style)
            bar.append(self.glyphs.empty * (columns.BAR - filled), 'dim')
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
            text.append(self.glyphs.dots)
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
    """Return the level and state of a row, and a message about its problem, if any."""
    node = row.worker or row.stage or row.manager
    manager = row.manager
    if node is manager and manager.is_silent(now):
        silence = (
            f'no diagnostics for {format_duration(manager.silence(now))}; showing the last ones'
        )
        return Level.STALE, 'silent', silence
    message = '' if node.level is Level.OK else node.message
    if node is manager and any(stage.level is not Level.OK for stage in manager.stages):
        message = ''  # it only repeats theirs
    return node.level, node.state, '' if message == node.state else message


def _is_explained_by_workers(row: Row) -> bool:
    """Return whether messages of a stage's workers name its problem more exactly."""
    if row.stage is None or row.worker:
        return False
    return any(worker.level is not Level.OK for worker in row.stage.workers)
