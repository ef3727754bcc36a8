"""The figures as a table: on the terminal, and in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from benchmarks.figure import OURS, PEER, Series

COLUMNS = ('figure', 'better', 'worker_pipeline', 'peer', 'ratio', 'the peer')


def rich_table(series: Sequence[Series]) -> Table:
    """For the terminal."""
    table = Table(title='worker_pipeline and its peers: median (min - max)', show_lines=True)
    for column in COLUMNS:
        table.add_column(column, justify='right' if column in (*COLUMNS[2:5],) else 'left')
    for row in _rows(series):
        table.add_row(*row)
    return table


def markdown_table(series: Sequence[Series]) -> str:
    """For the documentation."""
    alignment = ['---', '---', '---:', '---:', '---:', '---']
    rows = [list(COLUMNS), alignment, *_rows(series)]
    return '\n'.join(f'| {" | ".join(row)} |' for row in rows)


def _rows(series: Sequence[Series]) -> list[list[str]]:
    return [
        [
            f'{each.figure.title} [{each.figure.unit}]',
            'higher' if each.figure.higher_is_better else 'lower',
            _spread(each, OURS),
            _spread(each, PEER),
            f'{each.ratio:.2f}' if each.complete else '',
            each.figure.peer,
        ]
        for each in series
    ]


def _spread(series: Series, side: str) -> str:
    if not any(series.samples[side]):
        return 'not measured'
    median, least, greatest = (
        f'{value:.3g}' if value < 100 else f'{value:.0f}' for value in series.spread(side)
    )
    return f'{median} ({least} - {greatest})'
