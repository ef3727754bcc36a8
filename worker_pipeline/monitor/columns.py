# SPDX-License-Identifier: Apache-2.0
"""The columns of the view: their contents, and which of them fit into a width.

Stages and processes share the columns, so each column has two headings, and all numbers in it are
aligned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from worker_pipeline.monitor.model import Manager, Process, Stage, Worker

UNKNOWN = '-'
GAP = 2  # between columns
BAR = 8  # the width of a queue's bar, if there is room for it


@attrs.frozen
class Cell:
    """The text in a column. ``style`` is a style of rich."""

    text: str = ''
    style: str = ''


@attrs.frozen
class Column:
    """A right-aligned column. The columns with the highest ``rank`` are left out first."""

    stage_heading: str
    process_heading: str
    width: int
    rank: int
    stage: Callable[[Stage], Cell]
    process: Callable[[Process], Cell]


def columns_for(width: int) -> list[Column]:
    """Return the columns that fit into a width, in their order."""
    kept: set[str] = set()
    for column in sorted(COLUMNS, key=lambda each: each.rank):
        if column.width + GAP > width:
            break
        width -= column.width + GAP
        kept.add(column.stage_heading)
    return [column for column in COLUMNS if column.stage_heading in kept]


def format_count(value: int | None, style: str = '') -> Cell:
    """Return the cell of a count, in ``style`` if it is not 0."""
    if value is None:
        return Cell(UNKNOWN, 'dim')
    if value == 0:
        return Cell('0', 'dim')
    text = str(value) if value < 1e8 else f'{value / 1e6:.0f}M' if value < 1e12 else f'{value:.0e}'
    return Cell(text, style)


def format_number(value: float | None) -> Cell:
    """Return the cell of a measured value, with one decimal if it is small enough."""
    if value is None:
        return Cell(UNKNOWN, 'dim')
    decimals = 1 if abs(value) < 9999.95 else 0
    text = f'{value:.{decimals}f}'
    return Cell(text if len(text) <= 7 else f'{value:.0e}')


def format_duration(seconds: float | None) -> str:
    """Return a duration as text: 0:07, 12:34, 1:02:03, 5d 04h."""
    if seconds is None or seconds < 0:
        return UNKNOWN
    minutes, rest = divmod(int(min(seconds, 1e9)), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 24:
        return f'{hours // 24}d {hours % 24:02d}h'
    return f'{hours}:{minutes:02d}:{rest:02d}' if hours else f'{minutes}:{rest:02d}'


def format_queue(stage: Stage) -> Cell:
    """Return the cell of a queue: its length and its size."""
    if stage.queued is None:
        return Cell(UNKNOWN, 'dim')
    size = UNKNOWN if stage.queue_size is None else _short(stage.queue_size)
    is_full = stage.queue_size is not None and stage.queued >= stage.queue_size
    text = f'{_short(stage.queued)}/{size}'
    return Cell(text, 'yellow' if is_full else '' if stage.queued else 'dim')


def _short(value: int) -> str:
    """Return a number in at most four characters, if it is one that may be configured."""
    if value < 1_000:
        return str(value)
    return f'{value // 1_000}k' if value < 1_000_000 else f'{value // 1_000_000}M'


def bar_length(stage: Stage) -> int:
    """Return how much of the queue's bar is filled: at least 1 if any item waits."""
    if not stage.queued or not stage.queue_size:
        return 0
    return max(1, int(BAR * min(1.0, stage.queued / stage.queue_size)))


def _nothing(_: object) -> Cell:
    return Cell()


def _of_worker(cell: Callable[[Worker], Cell]) -> Callable[[Process], Cell]:
    return lambda process: cell(process) if isinstance(process, Worker) else Cell()


def _pid(process: Process) -> Cell:
    return Cell(UNKNOWN, 'dim') if process.pid is None else Cell(str(process.pid))


def _restarts(process: Process) -> Cell:
    # A manager's restarts are the sum of its workers', shown in the title.
    return Cell() if isinstance(process, Manager) else format_count(process.restarts, 'yellow')


COLUMNS: Sequence[Column] = (
    Column('queue', 'pid', 7, 0, format_queue, _pid),
    Column(
        'held',
        'held',
        4,
        5,
        lambda each: format_count(each.in_flight),
        _of_worker(lambda w: format_count(w.in_flight)),
    ),
    Column(
        'rate Hz',
        'busy %',
        7,
        1,
        lambda each: format_number(each.rate),
        _of_worker(lambda w: format_number(w.busy)),
    ),
    Column(
        'p50 ms',
        'cpu %',
        7,
        3,
        lambda each: format_number(each.latency_p50),
        lambda each: format_number(each.cpu_percent),
    ),
    Column(
        'p99 ms',
        'MB',
        7,
        2,
        lambda each: format_number(each.latency_p99),
        lambda each: format_number(each.memory),
    ),
    Column(
        'done',
        'done',
        8,
        7,
        lambda each: format_count(each.completed),
        _of_worker(lambda w: format_count(w.processed)),
    ),
    Column(
        'dropped', 'restarts', 8, 4, lambda each: format_count(each.dropped, 'yellow'), _restarts
    ),
    Column(
        'quarant.',
        'age',
        8,
        6,
        lambda each: format_count(each.quarantined, 'red'),
        lambda each: Cell(format_duration(each.age)),
    ),
    Column('redelivered', '', 11, 8, lambda each: format_count(each.redelivered), _nothing),
)
