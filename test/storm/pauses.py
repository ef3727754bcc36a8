# SPDX-License-Identifier: Apache-2.0
"""A storm of pauses: ``python -m storm --pauses``, or ``make storm STORM_ARGS=--pauses``.

Several pipelines are paused at the same time, each in a domain of its own
(:mod:`storm.pause_run`).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import machine
from storm.freezer import Freezer
from storm.pause_run import FROZEN_KINDS, KINDS, RATE, WORKERS

DURATIONS = (1.0, 6.0, 12.0, 60.0)
# What is a broken promise.
ABORTED = 'runs aborted: the outside did not recover'
MUST_BE_NONE = ('replaced', 'quarantined', 'redelivered', 'missed and not counted', ABORTED)
ROWS = (
    'pauses',
    *MUST_BE_NONE,
    'outputs counted as lost',
    'outputs received twice',
    'inputs not received, and told',
    'inputs not received, and not told',
    'dropped',
    'first new output, median [s]',
    'first new output, at most [s]',
)
TITLES = {
    'whole': 'whole pipeline',
    'manager': 'manager only',
    'workers': 'all workers only',
    'manager first': 'whole, manager continues 0.5 s earlier',
    'workers first': 'whole, workers continue 0.5 s earlier',
    'frozen': 'whole, frozen control group',
    'frozen workers': 'all workers, frozen control group',
}

_DOCUMENT = """# Storms of pauses

Written by `python -m storm --pauses --write docs/storm_pauses.md`; do not edit. `make storm
STORM_ARGS=--pauses` does the same on your machine.

## Figures

{tables}

{verdict} Seed {seed}; {together} pipelines at the same time.

## Machine

{machine}

## Method

Pipelines of two stages of {workers} workers, run as a user runs them, with the usual timeouts
(`heartbeat_timeout` 1 s). A node outside feeds {rate:g} items per second, and listens to the
output, half of the time as any node of ROS 2 (and the pipeline with `journal: false`), half of the
time with this package's DDS settings (and `journal: true`). At a random moment processes are
stopped with SIGSTOP, and continued with SIGCONT later; or their control group is frozen. Then the
feeding ends, and what the manager has accepted is compared with what came out.

**Replaced**: workers that are not the same process as before. **Redelivered**: items given to
another worker. **Missed and not counted**: outputs that the node outside did not receive, and
that `outputs_lost` does not count. **Received twice**: those that were not acknowledged before the
pause. **Inputs not received**: published by the node outside, and not accepted: its own DDS has
taken the manager for dead, as it heard nothing for 5 s, so it sent them to nobody. Told: the
manager's log says for how long it stood still. **First new output**: of an item that was fed after
the pause. **Runs aborted**: no such output came within 150 s, and further pauses of that pipeline
were left out.
"""


def main(arguments: Sequence[str]) -> int:
    """Run the command; return the exit code."""
    options = _options(arguments)
    busy = machine.busy_cpus()
    begin = time.monotonic()
    results = _run_all(_cells(options), options)
    figures = summed_up(results)
    for kind in options.kinds:
        print(markdown_table(kind, figures), '\n')
    seconds = time.monotonic() - begin
    good = is_good(figures)
    verdict = 'Every promise was kept.' if good else '**Not every promise was kept.**'
    print(f'{verdict} seed {options.seed}, {seconds:.0f} s')
    about = machine.describe() | {'busy with other work before': f'{busy:.1f} CPUs'}
    if options.json is not None:
        options.json.write_text(json.dumps({'machine': about, 'pauses': results}, indent=2) + '\n')
    if options.write is not None:
        options.write.write_text(
            _DOCUMENT.format(
                tables='\n\n'.join(markdown_table(kind, figures) for kind in options.kinds),
                verdict=verdict,
                seed=options.seed,
                together=options.together,
                machine='\n'.join(f'- {key}: {value}' for key, value in about.items()),
                workers=' and '.join(map(str, WORKERS.values())),
                rate=RATE,
            )
        )
    return 0 if good else 1


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    freezer = Freezer.find()
    if freezer is not None:
        freezer.close()
    kinds = KINDS + FROZEN_KINDS if freezer is not None else KINDS
    parser = argparse.ArgumentParser(prog='python -m storm --pauses', description=__doc__)
    parser.add_argument('--pauses', action='store_true')
    parser.add_argument('--kinds', type=_kinds, default=kinds)
    parser.add_argument(
        '--durations',
        type=lambda text: [float(each) for each in text.split(',')],
        default=DURATIONS,
        help=f's, separated by commas (default: {DURATIONS})',
    )
    parser.add_argument('--repeats', type=int, default=10, help='of each pause (default: 10)')
    parser.add_argument('--together', type=int, default=4, help='pipelines (default: 4)')
    parser.add_argument('--seed', type=int, help='default: random')
    parser.add_argument('--write', type=Path, help='also write the documentation to this file')
    parser.add_argument('--json', type=Path, help='also write every figure to this file')
    options = parser.parse_args(arguments)
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(2**31)
    return options


def _kinds(text: str) -> list[str]:
    found = text.replace('+', ' ').split(',')
    if unknown := set(found) - {*TITLES}:
        raise argparse.ArgumentTypeError(f'found {unknown}; allowed: {", ".join(TITLES)}')
    return found


def _cells(options: argparse.Namespace) -> list[list[str]]:
    """Return the arguments of each run: half of each cell's repeats for each kind of node."""
    cells = []
    for seconds in sorted(options.durations, reverse=True):
        for index, kind in enumerate(options.kinds):
            for plain in (True, False):
                repeats = (options.repeats + plain) // 2
                seed = options.seed + 1000 * int(seconds) + 10 * index + plain
                usual = [kind, str(seconds), '--repeats', str(repeats), '--seed', str(seed)]
                if repeats:
                    cells.append([*usual, '--plain'] if plain else [*usual, '--journal'])
    return cells


def _run(cell: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, '-m', 'storm.pause_run', *cell],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'},
    )


def _run_all(cells: list[list[str]], options: argparse.Namespace) -> list[dict[str, Any]]:
    """Run all cells, some at the same time; return the results."""
    results: list[dict[str, Any]] = []
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                if not cells:
                    return
                cell = cells.pop(0)
            found = _run(cell)
            if found.returncode and not found.stdout:
                print(f'{" ".join(cell)}: not started, once more: {found.stderr[-300:]}')
                found = _run(cell)
            with lock:
                results.extend(json.loads(line) for line in found.stdout.splitlines())
                print(f'{" ".join(cell)}: {"done" if not found.returncode else "FAILED"}')
                if found.returncode:
                    print(found.stderr[-3000:])
                    results.append(
                        {'kind': cell[0], 'seconds': float(cell[1]), 'aborted': found.stderr}
                    )
                if options.json is not None:  # also if this is interrupted later
                    options.json.write_text(json.dumps({'pauses': results}, indent=2) + '\n')

    threads = [threading.Thread(target=work) for _ in range(options.together)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


Figures = dict[tuple[str, float], dict[str, float]]


def summed_up(results: Iterable[dict[str, Any]]) -> Figures:
    """Return the figures by kind and length of the pause."""
    totals: dict[tuple[str, float], Counter[str]] = defaultdict(Counter)
    recoveries: dict[tuple[str, float], list[float]] = defaultdict(list)
    for each in results:
        cell = each['kind'], each['seconds']
        if 'aborted' in each:
            totals[cell][ABORTED] += 1
            continue
        told = 'told' if each['told'] else 'not told'
        totals[cell] += Counter(
            {
                'pauses': 1,
                'replaced': each['replaced'],
                'quarantined': each['quarantined'],
                'redelivered': each['redelivered'],
                'missed and not counted': max(0, each['missed'] - each['counted']),
                'outputs counted as lost': each['counted'],
                'outputs received twice': each['twice'],
                f'inputs not received, and {told}': each['unreceived'],
                'dropped': each['dropped'],
            }
        )
        recoveries[cell].append(each['recovery'])
    figures: Figures = {}
    for cell, total in totals.items():
        times = sorted(recoveries[cell]) or [float('inf')]
        figures[cell] = {
            **total,
            'first new output, median [s]': times[len(times) // 2],
            'first new output, at most [s]': times[-1],
        }
    return figures


def is_good(figures: Figures) -> bool:
    """Return whether nobody died, and whatever was lost was counted."""
    return bool(figures) and not any(
        each.get(key, 0) for each in figures.values() for key in MUST_BE_NONE
    )


def markdown_table(kind: str, figures: Figures) -> str:
    """Return the table of one kind of pause: a column for each length."""
    lengths = sorted(seconds for each, seconds in figures if each == kind)
    heads = [TITLES[kind], *(f'{seconds:g} s' for seconds in lengths)]
    rows = [heads, ['---', *['---:' for _ in lengths]]]
    for key in ROWS:
        cells = [figures[kind, seconds].get(key, 0) for seconds in lengths]
        rows.append([key, *(f'{each:.2f}' if '[s]' in key else str(each) for each in cells)])
    return '\n'.join(f'| {" | ".join(row)} |' for row in rows)
