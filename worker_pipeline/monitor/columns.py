"""The columns of the view: what stands in them, and which of them a width has room for.

The lines of stages and those of processes share their columns, so that a column has two headings,
and both have figures that stand below each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from worker_pipeline.monitor.model import Manager, Process, Stage, Worker

UNKNOWN = '-'
GAP = 2  # between columns
BAR = 8  # a queue's, where there is room for it


@attrs.frozen
class Cell:
    """What stands in a column. ``style`` is one of rich."""

    text: str = ''
    style: str = ''


@attrs.frozen
class Column:
    """A column of figures, right-aligned. ``rank``: the higher, the sooner it is left out."""

    of_stage: str  # its headings
    of_process: str
    width: int
    rank: int
    stage: Callable[[Stage], Cell]
    process: Callable[[Process], Cell]


def fitting(width: int) -> list[Column]:
    """The columns that a width has room for, in their order; those that matter most first."""
    kept: set[str] = set()
    for column in sorted(COLUMNS, key=lambda each: each.rank):
        if column.width + GAP > width:
            break
        width -= column.width + GAP
        kept.add(column.of_stage)
    return [column for column in COLUMNS if column.of_stage in kept]


def count(value: int | None, style: str = '') -> Cell:
    """A count. ``style``: if it is not 0."""
    if value is None:
        return Cell(UNKNOWN, 'dim')
    if value == 0:
        return Cell('0', 'dim')
    text = str(value) if value < 1e8 else f'{value / 1e6:.0f}M' if value < 1e12 else f'{value:.0e}'
    return Cell(text, style)


def figure(value: float | None) -> Cell:
    """A measured value, with one decimal as long as it is small."""
    if value is None:
        return Cell(UNKNOWN, 'dim')
    decimals = 1 if abs(value) < 9999.95 else 0
    text = f'{value:.{decimals}f}'
    return Cell(text if len(text) <= 7 else f'{value:.0e}')


def duration(seconds: float | None) -> str:
    """A time that has passed: 0:07, 12:34, 1:02:03, 5d 04h."""
    if seconds is None or seconds < 0:
        return UNKNOWN
    minutes, rest = divmod(int(min(seconds, 1e9)), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 24:
        return f'{hours // 24}d {hours % 24:02d}h'
    return f'{hours}:{minutes:02d}:{rest:02d}' if hours else f'{minutes}:{rest:02d}'


def queue(stage: Stage) -> Cell:
    """How many items wait, of how many that may."""
    if stage.queued is None:
        return Cell(UNKNOWN, 'dim')
    size = UNKNOWN if stage.queue_size is None else _short(stage.queue_size)
    is_full = stage.queue_size is not None and stage.queued >= stage.queue_size
    text = f'{_short(stage.queued)}/{size}'
    return Cell(text, 'yellow' if is_full else '' if stage.queued else 'dim')


def _short(value: int) -> str:
    """At most four signs, as long as it is one that may be configured."""
    if value < 1_000:
        return str(value)
    return f'{value // 1_000}k' if value < 1_000_000 else f'{value // 1_000_000}M'


def filled(stage: Stage) -> int:
    """How much of its bar is full. Whoever has something waiting shows some of it."""
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
    # A manager's is the sum of its workers', told in the title.
    return Cell() if isinstance(process, Manager) else count(process.restarts, 'yellow')


COLUMNS: Sequence[Column] = (
    Column('queue', 'pid', 7, 0, queue, _pid),
    Column(
        'held', 'held', 4, 5, lambda each: count(each.held), _of_worker(lambda w: count(w.held))
    ),
    Column(
        'rate Hz',
        'busy %',
        7,
        1,
        lambda each: figure(each.rate),
        _of_worker(lambda w: figure(w.busy)),
    ),
    Column(
        'p50 ms',
        'cpu %',
        7,
        3,
        lambda each: figure(each.latency_p50),
        lambda each: figure(each.processor),
    ),
    Column(
        'p99 ms',
        'MB',
        7,
        2,
        lambda each: figure(each.latency_p99),
        lambda each: figure(each.memory),
    ),
    Column(
        'done',
        'done',
        8,
        7,
        lambda each: count(each.completed),
        _of_worker(lambda w: count(w.processed)),
    ),
    Column('dropped', 'restarts', 8, 4, lambda each: count(each.dropped, 'yellow'), _restarts),
    Column(
        'given up',
        'age',
        8,
        6,
        lambda each: count(each.quarantined, 'red'),
        lambda each: Cell(duration(each.age)),
    ),
    Column('redelivered', '', 11, 8, lambda each: count(each.redelivered), _nothing),
)
