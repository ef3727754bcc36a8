"""The figures of storms as a table: on the terminal, and in Markdown, beside those of the peers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import attrs
from rich.markup import escape
from rich.table import Table

from storm.course import WORKERS, Settings
from storm.misbehaving import KINDS
from storm.peers import TITLES
from storm.peers import WORKERS as PEER_WORKERS

OURS = 'worker_pipeline'
# What is the greatest of all repeats, and what follows from other figures; the rest is added up.
GREATEST = frozenset(
    {'first item after that, at most [s]', 'hung workers ended after, at most [s]'}
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


_TEXT = """# Storms

Written by `python -m storm --write docs/storm.md`; not to be edited by hand. `make storm` does the
same on your machine.

## Figures

{table}

{verdict} {repeats}

## Machine

{machine}

## What it is

A pipeline of three stages of {workers} workers, run as a user runs it, with `journal: true`.
From outside {items} items are fed into the first, at most {window} at once on their way. Every
{kill_period:g} s something is done to a random worker: it is killed, ended, crashed or stopped, or
its own code is made to exit, to crash in native code, to raise, to sleep or loop for ever, or to
hold the GIL for ever. {manager_kill_period:g} s after the first item has come out under it, the
manager is killed with SIGKILL and started again with the same parameters; the feeder sends again
what has not come out, and what was accepted before is refused as known already. Some items are
poison: they kill whoever processes them, each time, and must end in quarantine, they and no others.
The last stage remembers: it counts the items it has applied, and chains their numbers with a hash.
So its messages prove what was applied, in which order, and whether once or twice, also where the
listener outside missed some of them.

**Lost**: neither applied nor in quarantine. **Doubled**: applied twice by the stage that
remembers. **Heard twice outside**: the same message of an item applied once; after the death of a
manager its successor sends the last ones again, which may not have been received. **Not heard
outside**: applied, and its message was missed by the listener, as topics do not keep what was sent
while nobody listened.

**The peers** are given as many items through one stage of {peer_workers} worker processes, each
item {seconds:g} s of sleep as in the pipeline's first two stages, one of them killed with SIGKILL
every {kill_period:g} s. *{queue}*: a loop that starts a new process for each dead one. The dead
worker's item is gone; and one that dies while it holds a queue's lock stops the pool for good,
which is given up after {silence:g} s of silence. *{executor}*: each death breaks the executor; a
new one is made, and goes on with what had not been submitted. What had been submitted, here up to
{window} items, is gone; with less on its way it would be less with each death. Neither has a stop,
a hang, a poison or a death of its own to bear, and no order to keep.
"""


def document(
    columns: dict[str, dict[str, Any]],
    settings: Settings,
    seeds: Sequence[int],
    machine: dict[str, str],
    good: bool,
    silence: float,
) -> str:
    """The whole document."""
    times = 'One storm' if len(seeds) == 1 else f'{len(seeds)} storms, their figures added up'
    return _TEXT.format(
        **attrs.asdict(settings)
        | {'table': markdown_table(columns)}
        | {
            'verdict': 'Every promise was kept.' if good else '**Not every promise was kept.**',
            'repeats': f'{times}; {"seed" if len(seeds) == 1 else "seeds"} '
            f'{", ".join(map(str, seeds))}.',
            'machine': '\n'.join(f'- {key}: {value}' for key, value in machine.items()),
            'workers': ', '.join(str(count) for count in WORKERS.values()),
            'peer_workers': PEER_WORKERS,
            'queue': TITLES['queue'],
            'executor': TITLES['executor'],
            'silence': silence,
        }
    )
