# SPDX-License-Identifier: Apache-2.0
"""The figures as a table: on the terminal, and in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.table import Table

from benchmarks.figure import OURS, Series

COLUMNS = ('figure', 'worker_pipeline', 'beside it', 'its figure', 'ratio', 'better')
NUMBERS = ('worker_pipeline', 'its figure', 'ratio')


def rich_table(series: Sequence[Series]) -> Table:
    """Return the table for the terminal."""
    table = Table(title='worker_pipeline and its peers: median (min - max)', show_lines=True)
    for column in COLUMNS:
        table.add_column(column, justify='right' if column in NUMBERS else 'left')
    for row in _rows(series):
        table.add_row(*row)
    return table


def markdown_table(series: Sequence[Series]) -> str:
    """Return the table for the documentation."""
    alignment = ['---:' if column in NUMBERS else '---' for column in COLUMNS]
    rows = [list(COLUMNS), alignment, *_rows(series)]
    return '\n'.join(f'| {" | ".join(row)} |' for row in rows)


def _rows(series: Sequence[Series]) -> Iterator[list[str]]:
    for each in series:
        figure = each.figure
        title = f'{figure.title} [{figure.unit}]'
        better = 'higher' if figure.higher_is_better else 'lower'
        ours = _spread(each, OURS)
        if not each.peers:
            yield [title, ours, '', '', '', better]
        for peer in each.peers:
            ratio = each.ratio(peer)
            ratio_text = '' if ratio is None else f'{ratio:.3g}'
            yield [title, ours, peer, _spread(each, peer), ratio_text, better]
            title = ours = better = ''


def _spread(series: Series, contender: str) -> str:
    if not series.has(contender):
        return 'not measured'
    numbers = (series.value(contender), *series.range(contender))
    value, least, greatest = (f'{each:.3g}' if each < 100 else f'{each:.0f}' for each in numbers)
    return f'{value} ({least} - {greatest})'
