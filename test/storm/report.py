# SPDX-License-Identifier: Apache-2.0
"""The figures of storms beside those of the peers, as a table for the terminal or in Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from storm.faults import FAULTS
from storm.frame_watch import ALLOWED, FIGURES, MOST

OURS = 'worker_pipeline'
# Of these the greatest of all repeats is shown; the others are summed up.
GREATEST = frozenset(
    {
        'first item after that, at most [s]',
        ALLOWED,
        MOST,
        'hung workers ended after, at most [s]',
    }
)
ROWS = (
    'items in',
    'delivered',
    'dropped',
    'quarantined',
    'poison among the items',
    'lost',
    'doubled',
    'out of order',
    'applied out of order',
    'received twice outside',
    'not received outside',
    'faults',
    'workers replaced',
    'hung workers ended after, at most [s]',
    'manager killed',
    'first item after that, at most [s]',
    'redelivered',
    'rejected as duplicates',
    'quarantined by hostile stages',
    'hostile workers replaced',
    *FIGURES,
    'seconds',
    'items/s',
    'remark',
)


def sum_up(figures: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the figures of all repeats as those of one."""
    total: dict[str, Any] = {}
    for each in figures:
        for key, value in each.items():
            if isinstance(value, dict):
                total[key] = dict(Counter(total.get(key, {})) + Counter(value))
            elif isinstance(value, str):
                total[key] = '; '.join(filter(None, (total.get(key), value)))
            else:
                before = total.get(key, 0)
                total[key] = max(before, value) if key in GREATEST else before + value
    if total.get('seconds'):
        total['items/s'] = total['delivered'] / total['seconds']
    return total


def rich_table(columns: dict[str, dict[str, Any]]) -> Table:
    """Return the table for the terminal."""
    table = Table(title='a storm over worker_pipeline, and over its peers')
    table.add_column('')
    for title in columns:
        table.add_column(title, justify='right')
    for row in _rows(columns):
        table.add_row(*(escape(cell) for cell in row))
    return table


def markdown_table(columns: dict[str, dict[str, Any]]) -> str:
    """Return the table in Markdown."""
    heads = ['', *columns]
    rows = [heads, ['---', *['---:' for _ in columns]], *_rows(columns)]
    return '\n'.join(f'| {" | ".join(row)} |' for row in rows)


def _rows(columns: dict[str, dict[str, Any]]) -> list[list[str]]:
    rows = []
    for key in ROWS:
        texts = [_text(figures.get(key)) for figures in columns.values()]
        if any(texts):
            rows.append([key, *texts])
        if key == 'faults':
            rows += [
                [
                    f'- {fault.name}',
                    *(_text(each.get(key, {}).get(fault.name)) for each in columns.values()),
                ]
                for fault in FAULTS
            ]
    return rows


def _text(value: Any) -> str:
    if value is None:
        return ''
    if isinstance(value, dict):
        return str(sum(value.values()))
    return f'{value:.1f}' if isinstance(value, float) else str(value)
