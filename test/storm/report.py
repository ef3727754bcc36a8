"""The figures of storms as a table: on the terminal, and in Markdown, beside those of the peers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from storm.frame_watch import ALLOWED, FIGURES, MOST
from storm.misbehaving import KINDS

OURS = 'worker_pipeline'
# What is the greatest of all repeats, and what follows from other figures; the rest is added up.
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
    'heard twice outside',
    'not heard outside',
    'blows',
    'workers replaced',
    'hung workers ended after, at most [s]',
    'manager killed',
    'first item after that, at most [s]',
    'redelivered',
    'refused as known already',
    *FIGURES,
    'seconds',
    'items/s',
    'remark',
)


def added_up(figures: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The figures of all repeats as those of one."""
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
    """For the terminal."""
    table = Table(title='a storm over worker_pipeline, and over its peers')
    table.add_column('')
    for title in columns:
        table.add_column(title, justify='right')
    for row in _rows(columns):
        table.add_row(*(escape(cell) for cell in row))
    return table


def markdown_table(columns: dict[str, dict[str, Any]]) -> str:
    """For the documentation."""
    heads = ['', *columns]
    rows = [heads, ['---', *['---:' for _ in columns]], *_rows(columns)]
    return '\n'.join(f'| {" | ".join(row)} |' for row in rows)


def _rows(columns: dict[str, dict[str, Any]]) -> list[list[str]]:
    rows = []
    for key in ROWS:
        told = [_told(figures.get(key)) for figures in columns.values()]
        if any(told):
            rows.append([key, *told])
        if key == 'blows':
            rows += [
                [
                    f'- {kind.name}',
                    *(_told(each.get(key, {}).get(kind.name)) for each in columns.values()),
                ]
                for kind in KINDS
            ]
    return rows


def _told(value: Any) -> str:
    if value is None:
        return ''
    if isinstance(value, dict):
        return str(sum(value.values()))
    return f'{value:.1f}' if isinstance(value, float) else str(value)
